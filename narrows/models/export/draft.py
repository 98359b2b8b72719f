"""A bundle is made in a scratch folder, and put in its place whole: opened first, its manifest last.

::

    bundle ── copied ──► draft ── changed ──► opened, every hash checked ──► folder

What fails in between, or is ended, leaves what stood in the folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import DECODER_HEADS, DECODER_HEADS_INT8
from narrows.contract.bundle.heads import RECORD as HEADS
from narrows.contract.bundle.int8_decoder import TWINS
from narrows.contract.bundle.manifest import (
    CAMERA_DECODER,
    DECODER,
    ENCODER_FLOAT,
    ENCODER_INT8,
    LABEL_TABLES,
    MANIFEST,
    TABLES,
)
from narrows.runtime.surroundings import scratch_folder
from narrows.runtime.writing import check_folder_writable, write_files

_NAMES = (ENCODER_INT8, ENCODER_FLOAT, DECODER, TABLES, CAMERA_DECODER, LABEL_TABLES, *TWINS)
_OF_HEADS = (DECODER_HEADS, DECODER_HEADS_INT8, HEADS)


@contextmanager
def bundle_draft(folder: Path, start: Bundle | None = None) -> Iterator[Path]:
    """A scratch folder, with all that ``start`` is made of; what it holds in the end takes the place of ``folder``'s.

    Other files of ``folder``, a model card for one, stay; a bundle's that are not in the draft go.

    Raises:
        FileUnwritable: ``folder`` cannot be written to. That is said first.
        BundleError: what was made is no bundle; ``folder`` is as it was.
    """
    check_folder_writable(folder)
    with scratch_folder() as draft:
        if start is not None:
            for name in _names(start.folder):
                shutil.copyfile(start.folder / name, draft / name)
        yield draft
        Bundle.open(draft)
        made = _names(draft)
        former = set(_names(folder)) - set(made)
        write_files(folder, {name: (draft / name).read_bytes() for name in made})
        for name in former:
            (folder / name).unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    """A bundle's files that are there: graphs, their records, the manifest last."""
    heads = sorted(path.name for path in folder.glob("head.*.onnx"))
    return [name for name in (*_NAMES, *heads, *_OF_HEADS, MANIFEST) if (folder / name).is_file()]
