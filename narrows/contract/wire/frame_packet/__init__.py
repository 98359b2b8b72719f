"""Packet format 2: a frame's sections under a short header.

::

    context ─┬─ sections' layout (content: latent, label map, tensor, objects)     once, with a K packet
             └─ id ─► header: id, sequence, capture time ─► sections      every frame

Specified in ``docs/wire-format.md``; pure functions of bytes.
"""

from narrows.contract.wire.frame_packet.content import KINDS, Content, LabelMap, Latent, Objects, Tensor
from narrows.contract.wire.frame_packet.context import PacketContext
from narrows.contract.wire.frame_packet.header import FORMAT, Envelope, FrameHead
from narrows.contract.wire.frame_packet.packet import FramePacket
from narrows.contract.wire.frame_packet.section import MAX_SECTIONS, Section, SectionLayout

__all__ = [
    "FORMAT",
    "KINDS",
    "MAX_SECTIONS",
    "Content",
    "Envelope",
    "FrameHead",
    "FramePacket",
    "LabelMap",
    "Latent",
    "Objects",
    "PacketContext",
    "Section",
    "SectionLayout",
    "Tensor",
]
