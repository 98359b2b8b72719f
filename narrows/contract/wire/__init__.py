"""What crosses between camera and cloud: packets, records and the names of the keys they travel under."""

from narrows.contract.wire.control import Control, Sends
from narrows.contract.wire.feature import FeaturePacket, FrameIdentity, LatentShape, PacketKind
from narrows.contract.wire.install import Install
from narrows.contract.wire.keys import ShardKeys, StreamKeys, shard_of
from narrows.contract.wire.mask import MaskPacket, Timings
from narrows.contract.wire.outcome import Refusal, Skip
from narrows.contract.wire.result import ResultPacket
from narrows.contract.wire.streams import Policy, StreamSettings

__all__ = [
    "Control",
    "FeaturePacket",
    "FrameIdentity",
    "Install",
    "LatentShape",
    "MaskPacket",
    "PacketKind",
    "Policy",
    "Refusal",
    "ResultPacket",
    "Sends",
    "ShardKeys",
    "Skip",
    "StreamKeys",
    "StreamSettings",
    "Timings",
    "shard_of",
]
