"""What of a packet is decoded here: a latent, a camera's own mask, or both. Pure; refused by name before any symbol is.

::

    sections ─┬─ latent ──────────────► symbol decoder ─► batcher ─► Triton ─► mask
              ├─ label map ───────────► label decoder ───────────────────────► mask
              └─ latent, label map ───► both: the second is the mask, the first says how far it is right
    tensors of a split network ► ``tensors.py`` ─► batcher ─► Triton ─► outputs
    behind any of these, or alone ─ objects ────► passed on as they are, once they are known to be what the camera coded
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from narrows.contract.bundle import AnyBundle, Bundle, SplitBundle
from narrows.contract.codec import LabelTables, general_label_tables
from narrows.contract.errors import (
    CameraDecoderMissing,
    LabelMapPredicted,
    LabelTableUnknown,
    MaskTooLarge,
    SectionsUnsupported,
    ShapeMismatch,
)
from narrows.contract.outputs.labels.scaling import DIVISORS, divided_size
from narrows.contract.wire.feature import PacketKind
from narrows.contract.wire.frame_packet import FramePacket, LabelMap, Latent, Objects, Section, SectionLayout
from orchestrator.dispatch.tensors import CodedTensors, tensors_of

_MOST_BITS_A_PIXEL, _ALWAYS_BYTES = 1, 4096
"""Of the whole output's pixels, and what small ones may have in any case. Masks of scenes have 0.03 bits a pixel, noise
of 11 labels 4.4: unbounded, the masks that Redis keeps of one camera would be a hundred times those of another."""
_DECODED = ((Latent,), (LabelMap,), (Latent, LabelMap))


@dataclass(frozen=True, slots=True)
class CodedMask:
    """A camera's mask as it came: checked against its bundle's output, so that its size is no surprise.

    Attributes:
        divisor: of the output's sides, one of :data:`DIVISORS`.
    """

    shape: tuple[int, int]
    labels: int
    divisor: int
    tables: LabelTables
    section: Section


@dataclass(frozen=True, slots=True)
class CodedObjects:
    """Masks of things as they came, and the network that made them."""

    network: int
    section: Section


class Contents(Struct, frozen=True):
    """What a packet holds.

    Attributes:
        level: the rate level of its latent, which is its first section; ``None``: it has none.
        mask: the camera's own.
        objects: what the camera outlined of what it was asked for, and the network that did.
        tensors: what crosses at a cut of a split network; ``level`` is then theirs.
    """

    level: int | None
    mask: CodedMask | None
    objects: CodedObjects | None = None
    tensors: CodedTensors | None = None

    @property
    def made_by_camera(self) -> bool:
        """Whether nothing is left for a server to make: a mask, or objects alone."""
        return self.level is None and self.tensors is None

    def model_id(self, bundle: AnyBundle) -> int:
        """The model that is asked for the outputs."""
        return bundle.id if self.tensors is None else self.tensors.tail.id


def contents_of(packet: FramePacket, bundle: AnyBundle) -> Contents:
    """What a packet holds that its bundle decodes: of a split network's see :func:`tensors_of`.

    Raises:
        SectionsUnsupported: sections of other kinds, or more, or that depend on one another.
        ShapeMismatch: a latent or a label map that is not the bundle's.
        CameraDecoderMissing, LabelTableUnknown, LabelMapPredicted, MaskTooLarge: of a label map.
    """
    context = packet.head.context
    objects = _objects_of(packet)
    layouts = context.sections if objects is None else context.sections[:-1]
    if not layouts and packet.head.kind is PacketKind.KEY and not context.sections[-1].depends_on:
        return Contents(None, None, objects)
    if isinstance(bundle, SplitBundle):
        tensors = tensors_of(packet, len(layouts), bundle)
        return Contents(tensors.level, None, objects, tensors)
    kinds = tuple(type(layout.content) for layout in layouts)
    if kinds not in _DECODED or any(layout.depends_on for layout in context.sections):
        named = ", ".join(type(layout.content).__name__ for layout in context.sections)
        raise SectionsUnsupported(
            f"sections {named}; decoded here are a latent, a label map, or one behind the other, "
            "and objects behind these or alone in a K packet"
        )
    first, last = layouts[0], layouts[-1]
    level = None
    if isinstance(first.content, Latent):
        bundle.check_latent(context.cut, first.content.shape, first.level)
        level = first.level
    mask = None
    if isinstance(last.content, LabelMap):
        if packet.head.kind is PacketKind.PREDICTED:
            raise LabelMapPredicted("a label map in a P packet: label maps are coded alone, send it as K")
        mask = _mask_of(last, last.content, packet.sections[len(layouts) - 1], bundle)
    return Contents(level, mask, objects)


def _objects_of(packet: FramePacket) -> CodedObjects | None:
    content = packet.head.context.sections[-1].content
    return CodedObjects(content.network, packet.sections[-1]) if isinstance(content, Objects) else None


def _mask_of(layout: SectionLayout, content: LabelMap, section: Section, bundle: Bundle) -> CodedMask:
    if not bundle.has_camera_decoder:
        raise CameraDecoderMissing(
            f"a camera's mask, and bundle {bundle.hex_id} has no decoder for cameras: let it send features"
        )
    if layout.id != 0:
        raise SectionsUnsupported(f"a label map of output {layout.id}; a camera's mask is output 0, which is published")
    output = bundle.manifest.outputs[0]
    if content.labels != len(output.classes):
        raise ShapeMismatch(f"a mask of {content.labels} labels; the bundle's output has {len(output.classes)}")
    height, width = output.shape
    most_bytes = max(height * width * _MOST_BITS_A_PIXEL // 8, _ALWAYS_BYTES)
    if len(section.payload) > most_bytes:
        raise MaskTooLarge(f"a mask of {len(section.payload)} bytes; at most {most_bytes} for {height} x {width}")
    shape = content.height, content.width
    for divisor in DIVISORS:
        if shape == divided_size(height, width, divisor):
            return CodedMask(shape, content.labels, divisor, _tables_of(content.table_id, bundle), section)
    raise ShapeMismatch(f"a mask of {shape}; the bundle's is {height} x {width}, or that divided by {DIVISORS[1:]}")


def _tables_of(table_id: int, bundle: Bundle) -> LabelTables:
    if table_id == 0:
        return general_label_tables()
    own = bundle.label_tables
    if own is None or table_id != own.id:
        has = "the general one alone" if own is None else f"{own.id:016x} and the general one"
        raise LabelTableUnknown(f"label table {table_id:016x}; bundle {bundle.hex_id} has {has}")
    return own
