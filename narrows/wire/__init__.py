"""What crosses between the rooms: packets, records and the names of the keys they travel under."""

from narrows.wire.control import Control
from narrows.wire.feature import FeaturePacket, FrameIdentity, Kind, LatentShape
from narrows.wire.install import Install
from narrows.wire.keys import ShardKeys, StreamKeys, shard_of
from narrows.wire.mask import MaskPacket, Timings
from narrows.wire.outcome import Refusal, Skip
from narrows.wire.streams import Policy, StreamSettings

__all__ = [
    "Control",
    "FeaturePacket",
    "FrameIdentity",
    "Install",
    "Kind",
    "LatentShape",
    "MaskPacket",
    "Policy",
    "Refusal",
    "ShardKeys",
    "Skip",
    "StreamKeys",
    "StreamSettings",
    "Timings",
    "shard_of",
]
