"""What lets cameras make masks themselves, added to a bundle: a decoder that runs there, and label tables of its own.

::

    decoder.onnx ─► camera_decoder.int8.onnx ─► its masks of the training split, at four sizes ─► labels.bin

Both become part of the manifest, so the bundle that carries them has an id of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.manifest import CAMERA_DECODER, LABEL_TABLES, MANIFEST
from narrows.contract.codec.label_counting import count_label_tables
from narrows.contract.errors import BundleError
from narrows.contract.outputs.labels.scaling import DIVISORS
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.export.calibration import Feed
from narrows.models.export.camera_decoder import SCALE, write_camera_decoder
from narrows.models.export.draft import bundle_draft
from narrows.models.export.graphs import LABELS
from narrows.models.export.int8_loss import frames_of, measure_loss
from narrows.models.export.quantise import MOST_LOST_POINTS, check_data, split_off
from narrows.models.export.write import file_entry
from narrows.runtime.onnx_runtime import InferenceSession

Labels = NDArray[np.uint8]


def add_camera_masks(
    bundle: Bundle,
    data: FolderDataset,
    folder: Path,
    say: Callable[[str], None] = print,
    *,
    most_lost_points: float = MOST_LOST_POINTS,
) -> Bundle:
    """Write a bundle to ``folder``, which may be its own, with a camera decoder and label tables. Its id changes.

    Args:
        bundle: its decoder is quantised; its encoder, gains and tables make the symbols, as a camera's would.
        data: the split that was trained on: calibrated on its beginning, judged on its end, counted on all of it.
        folder: where to.
        say: told what goes on and what comes of it.
        most_lost_points: of mIoU, at the level that loses most.

    Raises:
        BundleError: the bundle does not fit the data, its decoder ends otherwise than ``narrows export`` ends it, or
            accuracy does not hold; nothing was changed.
        DatasetError: the pictures cannot be read.
    """
    check_data(bundle, data)
    samples = list(data)
    calibration, held_out = split_off(samples)
    if not calibration:
        raise BundleError(f"no camera decoder: {len(samples)} pictures are too few to hold one out")
    size = (bundle.manifest.input.height, bundle.manifest.input.width)
    with bundle_draft(folder, bundle) as draft:
        graph = draft / CAMERA_DECODER
        say(f"quantising the decoder for cameras, calibrated on {len(calibration)} pictures at every rate level")
        write_camera_decoder(bundle.decoder_path, size, chain.from_iterable(frames_of(bundle, calibration)), graph)
        loss = measure_loss(bundle, graph, held_out, data.classes, also=_at(1))
        found = f"loses at most {max(loss.points_lost):.2f} points of mIoU on {len(held_out)} other pictures"
        if not loss.holds(most_lost_points):
            raise BundleError(f"no camera decoder: it {found}, and {most_lost_points:g} are allowed")
        say(f"the camera decoder {found}; counting label tables on its masks of {len(samples)}, at four sizes")
        masks = _masks(bundle, graph, samples)
        tables = count_label_tables(masks, len(bundle.manifest.classes))
        (draft / LABEL_TABLES).write_bytes(tables.to_bytes())
        files = {name: file_entry(draft / name) for name in (CAMERA_DECODER, LABEL_TABLES)}
        manifest = replace(bundle.manifest, schema=2, files={**bundle.manifest.files, **files})
        (draft / MANIFEST).write_bytes(manifest.to_json())
    return Bundle.open(folder)


def _at(scale: int) -> Feed:
    return {SCALE: np.array([scale], dtype=np.int64)}


def _masks(bundle: Bundle, graph: Path, samples: Sequence[LabelledPicture]) -> list[list[Labels]]:
    """What the graph makes of each picture at the finest level, a list for each scale."""
    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: list[list[Labels]] = [[] for _ in DIVISORS]
    for finest in _finest(bundle, samples):
        for masks, scale in zip(found, DIVISORS, strict=True):
            masks.append(session.run([LABELS], {**finest, **_at(scale)})[0][0])
    return found


def _finest(bundle: Bundle, samples: Sequence[LabelledPicture]) -> Iterator[Feed]:
    for start in range(0, len(samples), 32):
        yield from (levels[0] for levels in frames_of(bundle, samples[start : start + 32]))
