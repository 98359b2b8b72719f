"""The kinds of output: what a bundle may declare, what Triton may answer, and values that survive their bytes."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

import narrows.contract.outputs
from narrows.contract.errors import BundleError, InferenceFailed, RecordError
from narrows.contract.outputs import DTYPES, KINDS, Output, OutputValue, check_outputs, kind_of
from narrows.contract.outputs.labels import labels_output

LABELS = labels_output(2, 3, ("sky", "road", "tree"))
SCORES = Output("scene", "scores", "float32", (3,), "raw", ("day", "dusk", "night"))
OBJECTS = Output("objects", "objects", "uint8", (21,), "object-masks")
LOST = bytes.fromhex("01 60 8002 e001 0300 00efcdab 01 f6ff 1400 c800 0000")  # prompt 3 at (-10, 20), 200 pixels
HEATMAPS = Output("text", "heatmaps", "float32", (1, 2, 2), "planes-deflate", ("text",))
BOXES = Output("things", "boxes", "float32", (2, 4), "planes-deflate")
DECLARED = {"labels": LABELS, "scores": SCORES, "objects": OBJECTS, "heatmaps": HEATMAPS, "boxes": BOXES}
VALUES: dict[str, NDArray[Any]] = {
    "labels": np.array([[0, 0, 1], [0, 2, 1]], np.uint8),
    "scores": np.array([0.5, -1.25, 1024], np.float32),
    "objects": np.frombuffer(LOST, np.uint8),
    "heatmaps": np.array([[[0, 0.5], [1, -1.25]]], np.float32),
    "boxes": np.array([[1, 2, 3, 4], [0.5, 0.25, 0, -1]], np.float32),
}
BYTES = {
    "labels": zlib.compress(bytes([0, 0, 1, 0, 2, 0]), 1, -15),
    "scores": bytes.fromhex("0000003f 0000a0bf 00008044"),
    "objects": LOST,
    "heatmaps": zlib.compress(bytes.fromhex("00000000 00000000 000080a0 003f3fbf"), 1),
    "boxes": zlib.compress(bytes(16) + bytes.fromhex("8000408000800080 3f4040403f3e00bf"), 1),
}


def test_each_kind_has_a_folder_and_each_folder_a_kind() -> None:
    folder = Path(narrows.contract.outputs.__path__[0])
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set(KINDS)


def test_each_kind_is_tested_here() -> None:
    assert set(DECLARED) == set(VALUES) == set(BYTES) == set(KINDS), "give the new kind an example in this file"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_value_survives_its_bytes(kind: str) -> None:
    value = OutputValue(DECLARED[kind], VALUES[kind])
    for packed in (KINDS[kind].pack(value), BYTES[kind]):
        found = KINDS[kind].unpack(value.output, packed)
        assert found.output is value.output
        assert found.values.dtype == np.dtype(value.output.dtype)
        np.testing.assert_array_equal(found.values, value.values)


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(data=st.binary(max_size=64))
def test_whatever_the_bytes_a_value_or_a_named_error(kind: str, data: bytes) -> None:
    try:
        found = KINDS[kind].unpack(DECLARED[kind], data)
    except RecordError:
        return
    assert found.values.shape == DECLARED[kind].shape
    KINDS[kind].check_answer(DECLARED[kind], found.values[None])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_bytes_too_few_or_too_many_are_refused(kind: str) -> None:
    for data in (BYTES[kind][:-1], BYTES[kind] + b"\x00", b""):
        with pytest.raises(RecordError):
            KINDS[kind].unpack(DECLARED[kind], data)


@pytest.mark.parametrize(
    ("output", "values"),
    [
        (LABELS, np.full((2, 3), 3, np.uint8)),
        (SCORES, np.array([0, 0, np.nan])),
        (OBJECTS, np.frombuffer(LOST[:-2] + b"\x01\x00", np.uint8)),
        (HEATMAPS, np.array([[[0, 0], [0, np.inf]]])),
        (BOXES, np.array([[0, 0, 0, np.nan], [0, 0, 0, 0]])),
        (SCORES, np.array([0, 0, -np.inf])),
    ],
)
def test_values_that_a_kind_cannot_have_are_refused_from_bytes_and_from_triton(
    output: Output, values: NDArray[Any]
) -> None:
    value = OutputValue(output, values.astype(output.dtype))
    with pytest.raises(RecordError, match=output.name):
        kind_of(output).unpack(output, kind_of(output).pack(value))
    with pytest.raises(InferenceFailed, match=output.name):
        kind_of(output).check_answer(output, value.values[None])


@pytest.mark.parametrize("output", [LABELS, SCORES, HEATMAPS, BOXES])
def test_an_answer_of_another_dtype_or_shape_is_refused(output: Output) -> None:
    batch = np.zeros((4, *output.shape), output.dtype)
    kind_of(output).check_answer(output, batch)
    for wrong in (batch.astype(np.float64), batch[..., :-1], batch[0]):
        with pytest.raises(InferenceFailed, match=f"for output {output.name}"):
            kind_of(output).check_answer(output, wrong)


@pytest.mark.parametrize(("output", "bytes_of_four"), [(LABELS, 4 * 6), (SCORES, 4 * 12)])
def test_the_size_in_a_slot_counts_each_value(output: Output, bytes_of_four: int) -> None:
    assert output.size_bytes(4) == bytes_of_four
    assert output.size_bytes() == bytes_of_four // 4


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (replace(LABELS, dtype="float32"), "dtype 'float32'"),
        (replace(LABELS, packing="raw"), "packing 'raw'"),
        (replace(LABELS, shape=(2, 3, 1)), r"\(height, width\)"),
        (replace(LABELS, shape=(8193, 1)), "sides at most 8192"),
        (replace(LABELS, shape=(8192, 8192)), "pixels at most"),
        (replace(LABELS, classes=()), "1 to 255 classes"),
        (replace(SCORES, shape=(3, 1)), r"scores are \(n,\)"),
        (replace(SCORES, shape=(4097,), classes=()), "at most 4096"),
        (replace(SCORES, classes=("day",)), "3 scores and 1 names"),
        (replace(OBJECTS, shape=(5,)), "6 to"),
        (replace(OBJECTS, classes=("thing",)), "without classes"),
        (replace(HEATMAPS, shape=(2, 2)), r"\(channels, height, width\)"),
        (replace(HEATMAPS, shape=(257, 128, 128), classes=()), "values at most 4194304"),
        (replace(HEATMAPS, classes=("a", "b")), "1 heat maps and 2 names"),
        (replace(BOXES, shape=(9, 3)), "4 columns or more"),
        (replace(BOXES, shape=(65536, 17)), "values at most 1048576"),
        (replace(BOXES, classes=("x",)), "4 columns and 1 names"),
        (replace(SCORES, kind="poses"), "kind 'poses'; this build knows labels, scores, objects, heatmaps, boxes"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_by_name(output: Output, message: str) -> None:
    check_outputs([LABELS, SCORES])
    with pytest.raises(BundleError, match=message):
        check_outputs([output])


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([], "1 to 32 outputs, not 0"),
        ([replace(SCORES, name=f"s{n}") for n in range(33)], "not 33"),
        ([LABELS, LABELS], "two tensors named 'labels'"),
        ([replace(SCORES, name="level")], "two tensors named 'level'"),
    ],
)
def test_outputs_that_do_not_go_together_are_refused(outputs: list[Output], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        check_outputs(outputs)


def test_numpy_knows_every_dtype() -> None:
    assert [np.dtype(name).name for name in DTYPES] == list(DTYPES)
