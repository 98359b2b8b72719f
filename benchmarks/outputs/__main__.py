"""Bits and cloud MACs for one to eight outputs: features beside masks made at the camera, and how well a head answers.

The teacher's labels are a folder that ``narrows pseudo-label --cityscapes-weights`` wrote of frames that the head did
not see; they have the names of the labelled folder's frames. What there are no heads for, the third output to the
eighth, is counted as the second. The head comes into a copy: ``cp -r bundles/demo runs/demo`` and ``narrows head add
bundles/demo/heads/cityscapes --bundle runs/demo``.

Example: python -m benchmarks.outputs --data ../shared/data/camvid --teacher runs/city/data
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.outputs.classes import mapping
from benchmarks.outputs.plot import PICTURE, draw
from benchmarks.record import RESULTS, write_result
from narrows.contract.bundle import Bundle
from narrows.contract.codec import encode_symbols
from narrows.contract.codec.label_tables import LabelTables, general_label_tables
from narrows.contract.codec.labels import encode_labels
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.export.cost import count_cost
from narrows.models.export.int8_loss import frames_of
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions

HEADER_BYTES = 16
"""Of a packet of format 2 after the first (``docs/wire-format.md``)."""
Labels = NDArray[np.uint8]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-outputs", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("runs/demo"), help="a bundle that the head was added to")
    parser.add_argument("--head", default="cityscapes", help="which of the bundle's heads")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--teacher", type=Path, default=Path("runs/city/data"), help="the teacher's labels")
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=1, help="take one frame in so many")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    taught = FolderDataset.open(options.teacher, options.split)
    names = taught.names[:: options.every]
    truth = FolderDataset.open(options.data, options.split)
    rows = measure(bundle, options.head, truth, taught, names)
    figures = {"bundle": bundle.hex_id, "head": options.head, "frames": len(names)} | rows
    show(figures)
    command = f"make bench-outputs  # {options.data.name}, split {options.split}, {len(names)} frames"
    print(write_result("outputs", command, figures))
    draw(figures, RESULTS / PICTURE)


def measure(
    bundle: Bundle, head: str, truth: FolderDataset, taught: FolderDataset, names: tuple[str, ...]
) -> dict[str, Any]:
    """The whole of it, by rate level."""
    outputs = [bundle.manifest.outputs[0].name, head]
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(bundle.served_path, options, providers=["CPUExecutionProvider"])
    to_truth = mapping(taught.classes.names, truth.classes.names)
    levels = range(len(bundle.gains))
    packet_bytes: list[list[int]] = [[] for _ in levels]
    mask_bytes: dict[int, list[list[int]]] = {divisor: [[], []] for divisor in (1, 2)}
    agreed = [ConfusionMatrix(len(taught.classes.names), taught.classes.ignore_index) for _ in levels]
    scored = [ConfusionMatrix(len(truth.classes.names), truth.classes.ignore_index) for _ in levels]
    teacher = ConfusionMatrix(len(truth.classes.names), truth.classes.ignore_index)
    samples = [truth.read(name) for name in names]
    for sample, feeds in zip(samples, frames_of(bundle, samples), strict=True):
        asked = taught.read(sample.name).labels
        teacher.update(sample.labels, to_truth[asked])
        for level, feed in enumerate(feeds):
            masks: list[Labels] = [answer[0] for answer in session.run(outputs, feed)]
            agreed[level].update(asked, masks[1])
            scored[level].update(sample.labels, to_truth[masks[1]])
            packet_bytes[level].append(len(encode_symbols(feed["symbols"][0], bundle.tables, level)))
            if level == 0:
                note_mask_bytes(mask_bytes, masks, bundle, head)
    return {
        "levels": [
            {
                "level": level,
                "packet_bytes": HEADER_BYTES + float(np.mean(packet_bytes[level])),
                "agreement": agreed[level].pixel_accuracy,
                "miou": scored[level].miou,
            }
            for level in levels
        ],
        "teacher_miou": teacher.miou,
        "masks": [
            {
                "divisor": divisor,
                "first_bytes": HEADER_BYTES + float(np.mean(first)),
                "further_bytes": HEADER_BYTES + float(np.mean(second)),
            }
            for divisor, (first, second) in mask_bytes.items()
        ],
        "decoder_macs": count_cost(bundle.decoder_path).macs,
        "served_macs": count_cost(bundle.served_path).macs,
        "head_bytes": bundle.heads.heads[0].file.size_bytes,
    }


def note_mask_bytes(found: dict[int, list[list[int]]], masks: list[Labels], bundle: Bundle, head: str) -> None:
    """What a camera would send of these masks, at full and at half size, small."""
    classes = [len(output.classes) for output in bundle.outputs if output.name in {bundle.outputs[0].name, head}]
    tables: list[LabelTables] = [bundle.label_tables or general_label_tables(), general_label_tables()]
    for divisor, sizes in found.items():
        for place, (mask, many) in enumerate(zip(masks, classes, strict=True)):
            small = np.ascontiguousarray(divide_labels(mask, divisor, many))
            sizes[place].append(len(encode_labels(small, many, tables[place])))


def show(figures: dict[str, Any]) -> None:
    """The same as tables."""
    table = Table(title=f"head {figures['head']}, teacher {figures['teacher_miou']:.1%} mIoU on mapped classes")
    for name in ("level", "features, bytes", "agreement", "mIoU"):
        table.add_column(name, justify="right")
    for row in figures["levels"]:
        values = f"{row['packet_bytes']:,.0f}", f"{row['agreement']:.1%}", f"{row['miou']:.1%}"
        table.add_row(str(row["level"]), *values)
    Console().print(table)


if __name__ == "__main__":
    main()
