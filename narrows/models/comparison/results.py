"""What ``make bench-rate`` leaves: a JSON of curves and costs, and a folder of masks with an index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narrows.contract.errors import RecordError
from narrows.contract.json_text import decode_json

_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Mask:
    """One method's mask of one frame, at the operating point nearest to a rate."""

    label: str
    near_bits_per_pixel: float
    bits_per_pixel: float
    miou: float
    path: Path


@dataclass(frozen=True)
class ComparedFrame:
    """A frame with its labels and the methods' masks."""

    name: str
    picture: Path
    labels: Path
    masks: tuple[Mask, ...]


@dataclass(frozen=True)
class Results:
    """Everything that the page shows; ``table`` is the JSON as it stands."""

    table: dict[str, Any]
    frames: tuple[ComparedFrame, ...]

    @classmethod
    def read(cls, table: Path, masks: Path) -> Results:
        """Read both.

        Raises:
            RecordError: a file is missing or is not what ``make bench-rate`` writes.
        """
        results, index = _json(table), _json(masks / "index.json")
        try:
            frames = tuple(_frame(entry, masks) for entry in index)
            for key in ("command", "machine", "claims", "methods", "data", "uncompressed"):
                results[key]
        except (KeyError, TypeError) as error:
            raise RecordError(f"{table} or {masks / 'index.json'} lacks {error}: run `make bench-rate` again") from None
        return cls(results, frames)


def _json(path: Path) -> Any:  # noqa: ANN401 -- whatever the file holds is checked by the caller
    try:
        return decode_json(path.read_bytes(), what=str(path), most_bytes=_MOST_BYTES)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; `make bench-rate` writes it") from None


def _frame(entry: dict[str, Any], folder: Path) -> ComparedFrame:
    masks = tuple(
        Mask(m["label"], m["near_bits_per_pixel"], m["bits_per_pixel"], m["miou"], folder / m["file"])
        for m in entry["masks"]
    )
    return ComparedFrame(entry["name"], folder / entry["picture"], folder / entry["labels"], masks)
