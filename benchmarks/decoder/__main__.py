"""Processor time of a frame through the joint decoder and what it replaces, as PyTorch writes it, as exported, in int8.

All graphs take turns in one process, one thread each. Their weights are untrained, since time does not depend on them;
masks are compared on the bundle's decoder, where labelled data are given.

Example: python -m benchmarks.decoder --data ../shared/data/camvid
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from torch import nn

from benchmarks.rate.frames import session
from benchmarks.rate.timing import Part, measure
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle
from narrows.contract.bundle.int8_decoder import DECODER_CPU
from narrows.models.dataset import FolderDataset
from narrows.models.export.cpu_decoder import quantise_cpu_decoder
from narrows.models.export.faster_decoder import faster_decoder
from narrows.models.export.graphs import LABELS, LEVEL, PICTURE, SYMBOLS, DecoderGraph, write_graph
from narrows.models.export.int8_loss import measure_loss
from narrows.models.export.label_grid import whole_labels
from narrows.models.export.picture_graphs import PictureGraph
from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.pictures import PictureNetwork
from narrows.models.nn.separate import SeparateDeepLabV3

ROUNDS, QUICK_ROUNDS = 40, 5
Times = Mapping[str, float]


def main() -> None:
    options = _options()
    bundle = Bundle.open(options.bundle)
    with tempfile.TemporaryDirectory() as scratch:
        parts = dict(_parts(bundle, Path(scratch)))
        times = measure(parts, QUICK_ROUNDS if options.quick else ROUNDS)
    found = {"bundle": bundle.hex_id, "cpu_ms": times, **ratios(times)}
    if options.data.is_dir():
        data = FolderDataset.open(options.data, "val")
        found["masks"] = _masks(bundle, data)
        if bundle.cpu_decoder is not None:
            found["masks_int8"] = _masks_int8(bundle, data)
    for name, value in [*times.items(), *ratios(times).items()]:
        print(f"{name:<32} {value:8.3f}")
    print(found.get("masks", ""), found.get("masks_int8", ""))
    if not options.quick:
        print(write_result("decoder", "make bench-decoder", found))


def ratios(times: Times) -> dict[str, float]:
    """What is claimed, from milliseconds by name."""
    return {
        "cpu_ratio_against_before": times["joint"] / times["joint_before"],
        "cpu_ratio_against_before_int8": times["joint_int8"] / times["joint_before"],
        "cloud_cpu_ratio_before": times["joint_before"] / times["separate_deeplabv3_before"],
        "cloud_cpu_ratio": times["joint"] / times["separate_deeplabv3"],
        "cloud_cpu_ratio_int8": times["joint_int8"] / times["separate_deeplabv3"],
        "cloud_cpu_ratio_all_int8": times["joint_int8"] / times["separate_deeplabv3_int8"],
        "streams_per_core_before": times["picture_network_before"] / times["joint_before"],
        "streams_per_core": times["picture_network"] / times["joint"],
        "streams_per_core_int8": times["picture_network"] / times["joint_int8"],
        "streams_per_core_all_int8": times["picture_network_int8"] / times["joint_int8"],
    }


def _parts(bundle: Bundle, scratch: Path) -> Iterator[tuple[str, Part]]:
    latent, size = bundle.manifest.latent, bundle.manifest.input
    shape = NetworkShape(len(bundle.manifest.classes), latent.channels, len(bundle.gains))
    chance = np.random.default_rng(0)
    symbols = {
        SYMBOLS: chance.integers(-2, 3, (1, *latent.as_tuple()), dtype=np.int8),
        LEVEL: np.array([[1]], np.int32),
    }
    picture = {PICTURE: chance.integers(0, 255, (1, size.height, size.width, 3), dtype=np.uint8)}
    heads: dict[str, nn.Module] = {
        "joint": JointDecoder(latent.channels, shape.classes),
        "separate_deeplabv3": SeparateDeepLabV3(latent.channels, shape.classes),
    }
    for name, head in heads.items():
        network = copy.copy(JointNetwork(shape))
        network.decoder = cast("JointDecoder", head)
        graph = DecoderGraph(network.eval(), (size.height, size.width))
        yield from _forms(name, graph, symbols, scratch, any_batch=True)
    yield from _forms("picture_network", PictureGraph(PictureNetwork(shape.classes).eval()), picture, scratch)


def _forms(
    name: str, graph: nn.Module, feed: dict[str, Any], scratch: Path, *, any_batch: bool = False
) -> Iterator[tuple[str, Part]]:
    """A graph as PyTorch writes it, rewritten, and that in int8 as a bundle's decoder for processors is."""
    before, after, int8 = (scratch / f"{name}{form}.onnx" for form in (".before", "", ".int8"))
    frames = tuple(torch.from_numpy(value.repeat(1 + any_batch, axis=0)) for value in feed.values())
    batch = torch.export.Dim("batch", min=1, max=256)
    write_graph(graph, frames, before, list(feed), [LABELS], {each: {0: batch} for each in feed} if any_batch else None)
    onnx.save(faster_decoder(onnx.load(before)), after)
    yield f"{name}_before", partial(session(before).run, None, feed)
    yield name, partial(session(after).run, None, feed)
    quantise_cpu_decoder(after, [feed], int8)
    yield f"{name}_int8", partial(session(int8).run, None, feed)


def _masks(bundle: Bundle, data: FolderDataset) -> dict[str, Any]:
    """What sharing rows costs, level by level: the bundle's decoder against the same with every row looked at."""
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole.onnx"
        onnx.save(whole_labels(onnx.load(bundle.decoder_path)), whole)
        loss = measure_loss(bundle, whole, list(data), data.classes)
    lost = [round(-points, 3) for points in loss.points_lost]
    return {"data": f"{data.root.name}, split val", "points_lost": lost, "agreement": loss.agreement}


def _masks_int8(bundle: Bundle, data: FolderDataset) -> dict[str, Any]:
    """What int8 costs, level by level: the bundle's decoder for processors against the float one."""
    loss = measure_loss(bundle, bundle.folder / DECODER_CPU, list(data), data.classes)
    return {"data": f"{data.root.name}, split val", **asdict(loss)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-decoder", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"), help="bundle folder")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder, if there")
    parser.add_argument("--quick", action="store_true", help="few rounds; writes no result")
    return parser.parse_args()


if __name__ == "__main__":
    main()
