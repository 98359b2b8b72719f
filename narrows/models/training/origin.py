"""What a run came from, kept beside its checkpoint: the code that trained it, and what it began from."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import narrows
from narrows.contract.bundle import Bundle, is_bundle
from narrows.contract.wire.record import decode_record
from narrows.models.training.progress import read_records
from narrows.runtime.writing import write_file

ORIGIN = "origin.json"
LABELLED_BY = "labelled_by"
"""In a labelled folder whose labels a network of this project made: its name."""
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Origin:
    """Where a run comes from.

    Attributes:
        code: versions of the code that trained parts of it, in their order.
        begun_from: name, version and id of a bundle, or a run folder's name and epochs; ``None`` where the run began
            from neither.
    """

    code: tuple[str, ...] = ()
    begun_from: str | None = None

    @classmethod
    def read(cls, run_folder: Path) -> Origin:
        """What is kept; of runs that kept nothing, nothing.

        Raises:
            RecordError: it was changed by hand, or damaged.
        """
        path = run_folder / ORIGIN
        if not path.is_file():
            return cls()
        return decode_record(path.read_bytes(), cls, what=str(path), most_bytes=_MOST_BYTES)


def keep_origin(run_folder: Path, begin_from: Path | None, *, begun: bool) -> None:
    """Note that this code goes on with a run, or begins it: then from what, whose folder may hold another later.

    What was noted of a run that was killed before anything was trained is forgotten.
    """
    kept = Origin.read(run_folder) if begun else Origin()
    begun_from = kept.begun_from
    if not begun and begin_from is not None:
        begun_from = name_of(begin_from)
    code = code_version()
    codes = kept.code if code in kept.code else (*kept.code, code)
    write_file(run_folder / ORIGIN, json.dumps(asdict(Origin(codes, begun_from)), indent=2) + "\n")


def name_of(folder: Path) -> str:
    """A bundle, or a run and how far it has come, as :class:`Origin` keeps it.

    Raises:
        BundleError: the bundle is damaged.
    """
    if is_bundle(folder):
        bundle = Bundle.open(folder)
        return f"{bundle.manifest.name} {bundle.manifest.version} ({bundle.hex_id})"
    epochs = next((record["epoch"] for record in reversed(read_records(folder))), 0)
    return f"run {folder.name}, {epochs} epochs"


def code_version() -> str:
    """The package's version and, in a checkout, its commit; ``+`` where files differ from it."""
    release = f"narrows {version('narrows')}"
    git = ["git", "-C", str(Path(narrows.__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return release
    return f"{release}, commit {commit}"
