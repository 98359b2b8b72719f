"""Pictures to look at: what the camera saw beside what the cloud, which never saw it, made of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from narrows.client.painting import Legend, blend, side_by_side
from narrows.contract.errors import ServiceError
from narrows.contract.wire import MaskPacket
from narrows.models.dataset import LabelledPicture

KEPT = 8


@dataclass
class OverlayWriter:
    """Writes one overlay in ``every`` masks of a stream and keeps the latest few."""

    folder: Path
    stream: str
    legend: Legend
    every: int
    _seen: int = 0
    _written: deque[Path] = field(default_factory=deque)

    def offer(self, sample: LabelledPicture, mask: MaskPacket) -> None:
        """A scored frame: it is written if it is its turn, as ``STREAM-SEQUENCE-NAME.png``.

        Raises:
            ServiceError: the folder cannot be written.
        """
        turn = self._seen % self.every == 0
        self._seen += 1
        if not turn:
            return
        palette = self.legend.for_bundle(mask.bundle_id).palette()
        shown = side_by_side(sample.picture, blend(sample.picture, mask.labels, palette))
        path = self.folder / f"{self.stream}-{mask.identity.sequence:06d}-{sample.name}.png"
        try:
            Image.fromarray(shown).save(path)
        except OSError as error:
            raise ServiceError(f"the overlay {path} cannot be written ({error.strerror}): give another --out") from None
        self._written.append(path)
        if len(self._written) > KEPT:
            self._written.popleft().unlink(missing_ok=True)

    @property
    def written(self) -> list[Path]:
        """The overlays that are there."""
        return list(self._written)


def prepare_folder(folder: Path) -> Path:
    """Make the folder, without the overlays of an earlier demo.

    Raises:
        ServiceError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("cam-*-*.png"):
            old.unlink()
    except OSError as error:
        raise ServiceError(f"{folder} cannot be written ({error.strerror}): give another --out") from None
    return folder
