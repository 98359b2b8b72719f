"""The payloads of tensors stand still: those of docs/wire-format.md, with the tables of docs/symbol-coding.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from narrows.contract.codec import CodingTables
from narrows.contract.codec.tensor_coder import TensorCoder
from narrows.contract.codec.tensor_quantiser import Quantiser, tensor_digest
from narrows.contract.errors import PayloadUndecodable
from tests.unit.codec.test_codec_golden import SYMBOLS, TABLES

PAGE = (Path(__file__).parents[3] / "docs" / "wire-format.md").read_text()


@pytest.mark.parametrize(
    ("scale", "low_bits", "payload", "digest"),
    [
        (1, 0, "0395acbd6f98f6b32aa6fe086c88fa8043", 0x5E05FF44),
        (3, 2, "11000000c59394cd1bbaf4de42d67e08ec00fa8043a50e22", 0x03253955),
    ],
)
def test_a_payload_is_written_and_read_as_on_the_page(scale: int, low_bits: int, payload: str, digest: int) -> None:
    coder = TensorCoder(CodingTables.from_bytes(TABLES), low_bits, 127 << low_bits)
    symbols = SYMBOLS.astype(np.int32) * scale
    assert coder.encode(symbols).hex() == payload
    np.testing.assert_array_equal(coder.decode(bytes.fromhex(payload), (3, 3, 4)), symbols)
    assert tensor_digest(symbols) == digest
    assert f"`{payload}`" in PAGE


@pytest.mark.parametrize("data", ["", "0400", "ff000000", "05000000 0000000000"])
def test_lengths_that_do_not_fit_are_refused_by_name(data: str) -> None:
    coder = TensorCoder(CodingTables.from_bytes(TABLES), 2, 500)
    with pytest.raises(PayloadUndecodable):
        coder.decode(bytes.fromhex(data), (3, 3, 4))


def test_values_are_symbols_shifted_times_the_step_in_float32() -> None:
    whole = np.array([-2, 3], np.int32)
    quantiser = Quantiser(3, np.array([0.5, 0.25], np.float32), np.array([1, -1], np.int32), whole - 2, whole + 2)
    values = quantiser.values(np.array([[[0]], [[4]]], np.int32))
    assert values.dtype == np.float32
    assert values.reshape(-1).tolist() == [0.5, 0.75]
    back = quantiser.symbols(np.array([[[0.5]], [[np.nan]]], np.float32))
    assert back.reshape(-1).tolist() == [0, 1]


def test_a_length_beyond_the_payload_is_refused_though_its_symbols_are_there() -> None:
    """Of zeros alone, no low bit is missed: one tensor had many payloads."""
    coder = TensorCoder(CodingTables.from_bytes(TABLES), 2, 500)
    payload = coder.encode(np.zeros((3, 3, 4), np.int32))
    assert coder.decode(payload, (3, 3, 4)).any() == 0
    longer = (len(payload) - 3).to_bytes(4, "little") + payload[4:]
    with pytest.raises(PayloadUndecodable, match="says that its symbols end at"):
        coder.decode(longer, (3, 3, 4))
