"""What takes longer than about a millisecond is done beside the event loop, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from narrows.contract.outputs import Output, OutputValue
from narrows.contract.outputs.boxes import KIND as BOXES
from narrows.contract.outputs.heatmaps import KIND as HEATMAPS
from narrows.contract.outputs.objects import ObjectMask, Objects, objects_value
from narrows.contract.wire.output_packet import OutputPacket
from orchestrator.dispatch import tensors
from orchestrator.dispatch.batch import Inferred
from orchestrator.dispatch.mask_packets import packing_pixels
from orchestrator.dispatch.tensors import CodedTensors, Crossed, decode_tensors
from orchestrator.dispatch.workers import Workers
from tests import split_bundles


class Counting(Executor):
    """Does what it is given, and counts it."""

    def __init__(self) -> None:
        self.given = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given += 1
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def floats(kind: str, *shape: int) -> OutputPacket:
    output = Output("out", kind, "float32", shape, "planes-deflate")
    return OutputPacket(OutputValue(output, np.zeros(shape, np.float32)), f"{7:016x}")


@pytest.mark.parametrize(
    ("further", "at_once"),
    [
        ([], True),
        ([floats(HEATMAPS, 3, 64, 64)], True),
        ([floats(HEATMAPS, 1, 128, 128)], False),
        ([floats(BOXES, 8400, 84)], False),
        ([floats(HEATMAPS, 1, 64, 128), floats(BOXES, 2048, 4)], False),
    ],
)
def test_floats_are_packed_in_the_loop_only_where_they_are_few(further: list[OutputPacket], *, at_once: bool) -> None:
    assert Workers(Counting()).at_once(packing_pixels(None, further)) is at_once


def test_a_label_map_and_what_was_outlined_count_by_their_pixels_and_bytes() -> None:
    outlined = objects_value(Objects(64, 48, 12, (ObjectMask(4, 7, 0, 0, 9, None),)).to_bytes())
    labels = np.zeros((60, 80), np.uint8)
    assert packing_pixels(labels, [OutputPacket(outlined, f"{7:016x}")]) == labels.size + outlined.values.size


@pytest.mark.parametrize(("most_values", "beside"), [(3 * 8 * 12 + 3, 0), (3 * 8 * 12 + 2, 1)])
async def test_tensors_are_decoded_in_the_loop_only_where_their_values_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_values: int, beside: int
) -> None:
    """Both tensors of the cut count, each value as several symbols of a latent."""
    bundle, pool, crossed = split_bundles.write(tmp_path), Counting(), Crossed({})
    monkeypatch.setattr("orchestrator.dispatch.workers._INLINE_SYMBOLS", 6 * most_values)
    monkeypatch.setattr(tensors, "_decode_checked", lambda _: crossed)
    assert await decode_tensors(CodedTensors(bundle.tails[1], 0, ()), Workers(pool)) is crossed
    assert pool.given == beside


def test_what_is_packed_beside_the_loop_is_a_copy_of_what_its_slot_had() -> None:
    """The slot is used again while a thread packs: a neighbour's values would be published for this frame's."""
    slot, labels = floats(HEATMAPS, 3, 64, 64), np.zeros((60, 80), np.uint8)
    copied = Inferred(labels, 0.0, 0.0, (slot,)).copied()
    slot.value.values[:], labels[:] = 1, 1
    assert copied.labels is not None
    assert not copied.labels.any()
    assert not copied.further[0].value.values.any()
