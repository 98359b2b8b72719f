"""A split network's head, and how what crosses becomes a packet. Every packet is a K: it decodes alone.

::

    picture ─► head<cut>.onnx ─► tensors ─ quantise by the plan ─► symbols ─ rANS ─► sections ─► packet

So a camera may go over to another cut, or level, with any frame: the packet's context says which it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.encoder import fitted, named_refusals, open_session
from edge_client.encode.sections import SectionedFrame
from narrows.contract.bundle import SplitBundle
from narrows.contract.bundle.split_manifest import SplitCut, tensor_name
from narrows.contract.errors import EncoderError, FrameTooLarge
from narrows.contract.outputs.objects import MOST_BYTES as MOST_OBJECTS_BYTES
from narrows.contract.wire import FrameIdentity
from narrows.contract.wire.feature import MAX_PACKET_BYTES
from narrows.contract.wire.frame_packet import Section, SectionLayout, Tensor
from narrows.contract.wire.frame_packet.section import DIGEST_BITS

if TYPE_CHECKING:
    from narrows.runtime.onnx_runtime import InferenceSession

_PICTURE = "picture"
_BESIDE_BYTES = 4096 + MOST_OBJECTS_BYTES
"""More than header, context, lengths and digests of 32 sections have, and what is outlined of what is pointed at."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """What crosses at a cut for one picture: each tensor in the network's shape and dtype, batch included."""

    cut: int
    tensors: tuple[NDArray[Any], ...]


class SplitHead:
    """The heads of a bundle: pictures to what crosses, normalisation included.

    Attributes:
        cut: which head the next picture takes.
    """

    def __init__(self, bundle: SplitBundle, threads: int = 1, cut: int = 0) -> None:
        """Load the head of a cut.

        Raises:
            EncoderError: ONNX Runtime is missing or refuses it, it is not in the folder, or it is not the manifest's.
        """
        self._bundle, self._threads = bundle, threads
        self._sessions: dict[int, InferenceSession] = {}
        self.cut = cut
        self.use(cut)

    @classmethod
    def any_of(cls, bundle: SplitBundle, threads: int = 1) -> Self:
        """With the first cut whose head can be loaded, for whoever goes over to others: the folder may not have all.

        Raises:
            EncoderError: there is none; said is what is wrong with the first.
        """
        refused: EncoderError | None = None
        for cut in range(len(bundle.manifest.cuts)):
            try:
                return cls(bundle, threads, cut)
            except EncoderError as error:
                refused = refused or error
        raise refused or EncoderError(f"{bundle.folder} has no head")

    def use(self, cut: int) -> None:
        """Take the head of another cut from the next picture on; it is loaded if it was not.

        Raises:
            EncoderError: as on making it; the cut in use stays.
        """
        if cut not in self._sessions:
            self._sessions[cut] = self._opened(cut)
        self.cut = cut

    def load(self, cut: int) -> None:
        """Load a head beside the one in use and run it once: its first frame then takes no longer than others.

        Raises:
            EncoderError: as on making it, or it cannot be run; the cut in use stays.
        """
        in_use, size = self.cut, self._bundle.manifest.input
        try:
            self.use(cut)
            self.latent(np.zeros((size.height, size.width, 3), np.uint8))
        finally:
            self.cut = in_use

    def latent(self, picture: NDArray[np.uint8]) -> Crossing:
        """What crosses for a picture ``(H, W, 3)`` uint8 RGB of the bundle's size.

        Raises:
            EncoderError: the head cannot be run: there is no memory for it, or it is no network for this picture.
        """
        names = [tensor_name(place) for place in range(len(self._bundle.manifest.cuts[self.cut].tensors))]
        with named_refusals(self._bundle.head_path(self.cut)):
            return Crossing(self.cut, tuple(self._sessions[self.cut].run(names, {_PICTURE: picture[np.newaxis]})))

    def fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture at the bundle's size: see :func:`fitted`."""
        size = self._bundle.manifest.input
        return fitted(picture, size.width, size.height)

    def _opened(self, cut: int) -> InferenceSession:
        cuts = self._bundle.manifest.cuts
        if not 0 <= cut < len(cuts):
            raise EncoderError(f"cut {cut}; bundle {self._bundle.hex_id} has cuts 0 to {len(cuts) - 1}")
        path = self._bundle.head_path(cut)
        if not path.is_file():
            raise EncoderError(f"{path} is not here: copy the heads of the bundle to this machine")
        session = open_session(path, self._threads)
        size = self._bundle.manifest.input
        wanted = [(_PICTURE, [1, size.height, size.width, 3]), *_signature(cuts[cut])]
        found = [(each.name, list(each.shape)) for each in (*session.get_inputs(), *session.get_outputs())]
        if found != wanted:
            raise EncoderError(f"{path} has {found}; the manifest wants {wanted}: export the bundle again")
        return session


class SplitCoder:
    """Quantises and codes what crosses, by the plan of its cut."""

    def __init__(self, bundle: SplitBundle) -> None:
        self._bundle = bundle

    def packet(
        self,
        latent: Crossing,
        level: int,
        identity: FrameIdentity,
        capture_ms: int,
        now_s: float = 0.0,
        *,
        key_wanted: bool = False,
    ) -> SectionedFrame:
        """The frame at a level, or at the finest coarser one that a packet has room for; it is a K, wanted or not.

        Raises:
            FrameTooLarge: there is none.
        """
        del now_s, key_wanted
        for coarser in range(level, len(self._bundle.manifest.levels)):
            frame = self._coded(latent, coarser, identity, capture_ms)
            if sum(len(section.payload) for section in frame.sections) + _BESIDE_BYTES <= MAX_PACKET_BYTES:
                return frame
        raise FrameTooLarge(
            f"cut {latent.cut} takes more than a packet's {MAX_PACKET_BYTES} bytes at every level: export another cut"
        )

    def _coded(self, crossing: Crossing, level: int, identity: FrameIdentity, capture_ms: int) -> SectionedFrame:
        cut = self._bundle.manifest.cuts[crossing.cut]
        bits = cut.levels[level].precision_bits
        layouts, sections = [], []
        for place, (tensor, declared) in enumerate(zip(crossing.tensors, cut.tensors, strict=True)):
            plan = self._bundle.plans[crossing.cut][level][place]
            payload, digest = plan.encode(tensor)
            layouts.append(SectionLayout(Tensor(declared.shape, bits), id=place, level=level))
            sections.append(Section(digest & ((1 << DIGEST_BITS) - 1), payload))
        return SectionedFrame(self._bundle.id, identity, capture_ms, tuple(layouts), tuple(sections), cut=crossing.cut)


def _signature(cut: SplitCut) -> list[tuple[str, list[int]]]:
    return [(tensor_name(place), [1, *tensor.shape]) for place, tensor in enumerate(cut.tensors)]
