"""New tables for a bundle: the same networks, counted again on other pictures or by a newer version of Narrows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.manifest import MANIFEST, TABLES
from narrows.contract.errors import DatasetError
from narrows.models.dataset import FolderDataset
from narrows.models.export.counting import Progress, count_both, latents_of, with_mirrored
from narrows.models.export.draft import bundle_draft
from narrows.models.export.write import file_entry, measured_levels


def recount(bundle: Bundle, data: FolderDataset, folder: Path, say: Progress = print) -> Bundle:
    """Copy a bundle to ``folder`` with tables counted on ``data``. It has an id of its own.

    Raises:
        DatasetError: the pictures cannot be read, or are of another size than the encoder's.
    """
    size = bundle.manifest.input
    if data.classes.size != (size.width, size.height):
        raise DatasetError(f"pictures of {data.classes.size}; bundle {bundle.hex_id} takes {size.width}x{size.height}")
    pictures = [sample.picture for sample in data.at_its_size()]
    say(f"running the int8 encoder over {2 * len(pictures)} pictures to count symbols")
    latents = latents_of(bundle.encoder_path, with_mirrored(pictures))
    tables = count_both(bundle.encoder_path, pictures, latents, bundle.gains, say)
    levels = measured_levels(latents, bundle.gains, tables, size.width * size.height)
    with bundle_draft(folder, bundle) as draft:
        (draft / TABLES).write_bytes(tables.to_bytes())
        files = bundle.manifest.files | {TABLES: file_entry(draft / TABLES)}
        (draft / MANIFEST).write_bytes(replace(bundle.manifest, levels=levels, files=files).to_json())
    return Bundle.open(folder)
