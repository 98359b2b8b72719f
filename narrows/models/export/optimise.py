"""A bundle's decoder made faster on processors, from its graph alone; kept only where masks stay as they are.

What :mod:`narrows.models.export.faster_decoder` does at export, for a bundle whose checkpoint is gone, or that an
earlier version exported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import RECORD as HEADS
from narrows.contract.bundle.int8_decoder import drop_int8_decoders
from narrows.contract.bundle.manifest import DECODER, MANIFEST
from narrows.contract.errors import BundleError
from narrows.models.dataset import FolderDataset
from narrows.models.export.draft import bundle_draft
from narrows.models.export.faster_decoder import faster_decoder
from narrows.models.export.int8_loss import measure_loss
from narrows.models.export.quantise import add_int8_decoders, check_data, split_off
from narrows.models.export.write import file_entry

MOST_LOST_POINTS = 0.1
"""Points of mIoU at any rate level; beyond it the masks are not the same."""


def optimise(
    bundle: Bundle,
    data: FolderDataset,
    folder: Path,
    say: Callable[[str], None] = print,
    *,
    most_lost_points: float = MOST_LOST_POINTS,
) -> Bundle:
    """Write a bundle to ``folder``, which may be its own, with a faster decoder and that one's int8 twins.

    The id changes where it pins the decoder. What cameras have of a bundle stays as it is.

    Args:
        bundle: its encoder, gains and tables make the symbols, as a camera's would.
        data: the split that was trained on; masks are compared on its end.
        folder: where to.
        say: told what goes on and what comes of it.
        most_lost_points: of mIoU, at the level that loses most.

    Raises:
        BundleError: the bundle does not fit the data, has heads, has nothing to make faster, or its masks would
            change; nothing was written.
        DatasetError: the pictures cannot be read.
    """
    check_data(bundle, data)
    if bundle.heads.heads:
        raise BundleError("heads read this decoder's tensors: remove them, optimise the decoder, then add them again")
    before = onnx.load(bundle.decoder_path)
    after = faster_decoder(before)
    if [node.op_type for node in after.graph.node] == [node.op_type for node in before.graph.node]:
        raise BundleError(f"{bundle.decoder_path} has nothing to make faster: it was exported or optimised so before")
    _, held_out = split_off(list(data))
    with bundle_draft(folder, bundle) as draft:
        onnx.save(after, draft / DECODER)
        loss = measure_loss(bundle, draft / DECODER, held_out, data.classes)
        found = f"loses at most {max(loss.points_lost):.2f} points of mIoU on {len(held_out)} pictures"
        if not loss.holds(most_lost_points):
            raise BundleError(f"the faster decoder {found}, and {most_lost_points:g} are allowed: nothing was changed")
        say(f"the faster decoder {found}")
        drop_int8_decoders(draft)
        _pin(bundle, draft)
        add_int8_decoders(Bundle.open(draft), data, say)
    return Bundle.open(folder)


def _pin(bundle: Bundle, draft: Path) -> None:
    """Write down which decoder it is now, where the one before was pinned."""
    entry = file_entry(draft / DECODER)
    if DECODER in bundle.manifest.files:
        manifest = replace(bundle.manifest, files={**bundle.manifest.files, DECODER: entry})
        (draft / MANIFEST).write_bytes(manifest.to_json())
    else:
        (draft / HEADS).write_bytes(replace(bundle.heads, decoder=entry).to_json())
