"""The format stands still: the vectors of docs/symbol-coding.md, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from narrows.codec import CodingTables, decode_symbols, encode_symbols, ideal_bits, symbol_digest

TABLES = bytes.fromhex(
    "4e52575401010101030002010c003c00140005030460eab80bd007180206204e204e983a88138813180202409cc063"
    "2020080804041e1ef6050000008000000101818102018080808080808080808000000101818102010101010101010101"
    "012818000a0000ec280000030001000030000000010181810201808080808080808080000000010181810201010101010101010101"
)
SYMBOLS = np.array(
    [
        [[0, 1, -1, 0], [2, -2, 0, 3], [0, 0, 127, -4]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[1, 0, 0, 0], [0, -3, 1, 0], [-127, 0, 0, 1]],
    ],
    dtype=np.int8,
)
REFERENCE = np.array(
    [
        [[0, 2, -1, 0], [1, -1, 0, 2], [0, 0, 9, -9]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 1], [0, -1, 1, 0], [-1, 0, 0, 0]],
    ],
    dtype=np.int8,
)
KEY = bytes.fromhex("0395acbd6f98f6b32aa6fe086c88fa8043")
PREDICTED = bytes.fromhex("7748880f2f0b28ff536dffff2305d0828043")
DIGEST, KEY_BITS, PREDICTED_BITS = 2918348193, 110.802, 115.961


@pytest.mark.parametrize(("payload", "reference"), [(KEY, None), (PREDICTED, REFERENCE)], ids=["K", "P"])
def test_the_golden_payloads_stand(payload: bytes, reference: np.ndarray | None) -> None:
    tables = CodingTables.from_bytes(TABLES)
    assert tables.to_bytes() == TABLES
    assert encode_symbols(SYMBOLS, tables, 0, reference) == payload
    assert np.array_equal(decode_symbols(payload, SYMBOLS.shape, tables, 0, reference), SYMBOLS)


def test_the_golden_digest_and_price_stand() -> None:
    tables = CodingTables.from_bytes(TABLES)
    assert symbol_digest(SYMBOLS) == DIGEST
    assert ideal_bits(SYMBOLS, tables, 0) == pytest.approx(KEY_BITS, abs=0.01)
    assert ideal_bits(SYMBOLS, tables, 0, REFERENCE) == pytest.approx(PREDICTED_BITS, abs=0.01)


def test_the_document_shows_the_same_vectors() -> None:
    document = (Path(__file__).parents[3] / "docs" / "symbol-coding.md").read_text().replace("\n", "")
    for vector in (TABLES, KEY, PREDICTED):
        assert vector.hex() in document
