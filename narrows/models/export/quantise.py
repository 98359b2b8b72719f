"""A decoder's int8 twins into its bundle: each made, measured, and kept only where accuracy holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from narrows.contract.bundle import Bundle, Int8Decoder
from narrows.contract.bundle.int8_decoder import CPU_RECORD, DECODER_CPU, DECODER_INT8, RECORD, drop_int8_decoders
from narrows.contract.errors import BundleError
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.evaluation.score import check_classes
from narrows.models.export.calibration import Feed
from narrows.models.export.cpu_decoder import quantise_cpu_decoder
from narrows.models.export.int8_decoder import quantise_decoder
from narrows.models.export.int8_loss import frames_of, measure_loss
from narrows.runtime.surroundings import scratch_folder
from narrows.runtime.writing import write_files

MOST_LOST_POINTS = 0.5
"""Points of mIoU that int8 may lose at any rate level; beyond it accuracy does not hold."""
MOST_LOST_POINTS_CPU = 0.1
"""The same of what processors are given unasked: its masks must be those of the float decoder."""
CALIBRATION_PICTURES = 48
HELD_OUT = 5
"""One picture in so many is held out, all from the split's end: neighbours in a drive look alike."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Twin:
    """One of the twins: what it is called, its files, what makes it, and what it may lose."""

    name: str
    graph: str
    record: str
    quantise: Callable[[Path, Iterable[Feed], Path], None]
    most_lost_points: float


def add_int8_decoders(
    bundle: Bundle,
    data: FolderDataset,
    say: Say = print,
    *,
    most_lost_points: float = MOST_LOST_POINTS,
    most_lost_points_cpu: float = MOST_LOST_POINTS_CPU,
) -> Bundle:
    """Put the decoder's int8 twins into a bundle's folder where accuracy holds; the id stays. Those there go.

    Args:
        bundle: its encoder, gains and tables make the symbols, as a camera's would.
        data: the split that was trained on: calibrated on its beginning, judged on its end.
        say: told what goes on and what comes of it.
        most_lost_points: of mIoU, at the level that loses most, by the twin that engines are built from.
        most_lost_points_cpu: the same by the twin that processors run.

    Raises:
        BundleError: the bundle was made for other classes or pictures of another size than the data's.
        DatasetError: the pictures cannot be read.
    """
    check_data(bundle, data)
    calibration, held_out = split_off(list(data))
    if not calibration:
        say(f"no int8 decoder: {len(data)} pictures are too few to hold one out")
        drop_int8_decoders(bundle.folder)
        return Bundle.open(bundle.folder)
    twins = [_Twin("int8 decoder", DECODER_INT8, RECORD, quantise_decoder, most_lost_points)]
    if len(bundle.manifest.outputs) == 1:
        twins.append(
            _Twin("int8 decoder for processors", DECODER_CPU, CPU_RECORD, quantise_cpu_decoder, most_lost_points_cpu)
        )
    else:
        say("no int8 decoder for processors: what outputs beside the label map would lose is not measured")
    feeds = list(chain.from_iterable(frames_of(bundle, calibration)))
    say(f"quantising the decoder to int8, calibrated on {len(calibration)} pictures at every rate level")
    files: dict[str, bytes] = {}
    for twin in twins:
        files |= _made(bundle, twin, feeds, held_out, data, say)
    drop_int8_decoders(bundle.folder)
    write_files(bundle.folder, files)
    return Bundle.open(bundle.folder)


def _made(
    bundle: Bundle,
    twin: _Twin,
    feeds: Sequence[Feed],
    held_out: Sequence[LabelledPicture],
    data: FolderDataset,
    say: Say,
) -> dict[str, bytes]:
    """A twin's graph and then its record; nothing where accuracy does not hold."""
    with scratch_folder() as scratch:
        graph = scratch / twin.graph
        twin.quantise(bundle.decoder_path, feeds, graph)
        loss = measure_loss(bundle, graph, held_out, data.classes)
        found = f"loses at most {max(loss.points_lost):.2f} points of mIoU on {len(held_out)} other pictures"
        if not loss.holds(twin.most_lost_points):
            say(f"no {twin.name}: it {found}, and {twin.most_lost_points:g} are allowed")
            return {}
        say(f"the {twin.name} {found}")
        whole = graph.read_bytes()
    record = Int8Decoder(
        decoder_sha256=bundle.decoder_sha256,
        sha256=hashlib.sha256(whole).hexdigest(),
        size_bytes=len(whole),
        calibration_frames=len(feeds) // len(bundle.gains),
        held_out_frames=len(held_out),
        points_lost=loss.points_lost,
        agreement=loss.agreement,
    )
    return {twin.graph: whole, twin.record: record.to_json()}


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
