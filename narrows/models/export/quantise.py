"""A decoder's int8 twin into its bundle: made, measured, and kept only where accuracy holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

from narrows.contract.bundle import Bundle, Int8Decoder
from narrows.contract.bundle.int8_decoder import DECODER_INT8, RECORD, drop_int8_decoder
from narrows.contract.bundle.manifest import DECODER
from narrows.contract.errors import BundleError
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.evaluation.score import check_classes
from narrows.models.export.int8_decoder import quantise_decoder
from narrows.models.export.int8_loss import frames_of, measure_loss
from narrows.runtime.surroundings import scratch_folder

MOST_LOST_POINTS = 0.5
"""Points of mIoU that int8 may lose at any rate level; beyond it accuracy does not hold."""
CALIBRATION_PICTURES = 48
HELD_OUT = 5
"""One picture in so many is held out, all from the split's end: neighbours in a drive look alike."""

Say = Callable[[str], None]


def add_int8_decoder(
    bundle: Bundle, data: FolderDataset, say: Say = print, *, most_lost_points: float = MOST_LOST_POINTS
) -> Bundle:
    """Put the decoder's int8 twin into a bundle's folder where accuracy holds; the id stays. One that was there goes.

    Args:
        bundle: its encoder, gains and tables make the symbols, as a camera's would.
        data: the split that was trained on: calibrated on its beginning, judged on its end.
        say: told what goes on and what comes of it.
        most_lost_points: of mIoU, at the level that loses most.

    Raises:
        BundleError: the bundle was made for other classes or pictures of another size than the data's.
        DatasetError: the pictures cannot be read.
    """
    check_data(bundle, data)
    calibration, held_out = split_off(list(data))
    drop_int8_decoder(bundle.folder)
    if not calibration:
        say(f"no int8 decoder: {len(data)} pictures are too few to hold one out")
        return replace(bundle, int8_decoder=None)
    with scratch_folder() as scratch:
        graph = scratch / DECODER_INT8
        say(f"quantising the decoder to int8, calibrated on {len(calibration)} pictures at every rate level")
        quantise_decoder(bundle.decoder_path, chain.from_iterable(frames_of(bundle, calibration)), graph)
        loss = measure_loss(bundle, graph, held_out, data.classes)
        found = f"loses at most {max(loss.points_lost):.2f} points of mIoU on {len(held_out)} other pictures"
        if not loss.holds(most_lost_points):
            say(f"no int8 decoder: it {found}, and {most_lost_points:g} are allowed")
            return replace(bundle, int8_decoder=None)
        say(f"the int8 decoder {found}")
        whole = graph.read_bytes()
    record = Int8Decoder(
        decoder_sha256=bundle.manifest.files[DECODER].sha256,
        sha256=hashlib.sha256(whole).hexdigest(),
        size_bytes=len(whole),
        calibration_frames=len(calibration),
        held_out_frames=len(held_out),
        points_lost=loss.points_lost,
        agreement=loss.agreement,
    )
    (bundle.folder / DECODER_INT8).write_bytes(whole)
    (bundle.folder / RECORD).write_bytes(record.to_json())
    return Bundle.open(bundle.folder)


def split_off(
    samples: Sequence[LabelledPicture],
) -> tuple[Sequence[LabelledPicture], Sequence[LabelledPicture]]:
    """What to calibrate on, at even steps, and what to judge on. Of one picture none is left to calibrate on."""
    first_held = len(samples) - max(1, len(samples) // HELD_OUT)
    step = max(1, first_held // CALIBRATION_PICTURES)
    return samples[: max(0, first_held) : step], samples[max(0, first_held) :]


def check_data(bundle: Bundle, data: FolderDataset) -> None:
    """Whether data are of a bundle's classes and size.

    Raises:
        BundleError: they are not.
    """
    check_classes(bundle.manifest.classes, data.classes)
    size = bundle.manifest.input
    if data.classes.size != (size.width, size.height):
        raise BundleError(f"bundle {bundle.hex_id} takes {size.width}x{size.height}; the data are {data.classes.size}")
