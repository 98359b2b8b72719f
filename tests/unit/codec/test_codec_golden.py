"""The format stands still: the vectors of docs/symbol-coding.md, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from narrows.contract.codec import CodingTables, decode_symbols, encode_symbols, ideal_bits, remember, symbol_digest

TABLES = bytes.fromhex(
    "4e52575401010100030002010c003c00140002020c003c001400280005030460eab80bd007180206204e204e983a8813"
    "8813180202409cc0632020080804041e1ef605000000800000010181810201101004040000000400043c040004000c0c"
    "fb00000000fe00fe40fe00fe00000000000000818200020181810201012818000a0000ec280000030001000030000000"
    "010181810201140c00000002010203042805060708f814000000010000f9003200030000010000108200000002818102"
    "01018282020202"
)
SYMBOLS = np.array(
    [
        [[0, 1, -1, 0], [2, -2, 0, 3], [0, 0, 127, -4]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[1, 0, 0, 0], [0, -3, 1, 0], [-127, 0, 0, 1]],
    ],
    dtype=np.int8,
)
BEFORE = np.array(
    [
        [[0, 2, -1, 0], [1, -1, 0, 2], [0, 0, 9, -9]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 1], [0, -1, 1, 0], [-1, 0, 0, 0]],
    ],
    dtype=np.int8,
)
MEMORY = remember(BEFORE, remember(np.flip(BEFORE, 2)))
KEY = bytes.fromhex("0395acbd6f98f6b32aa6fe086c88fa8043")
PREDICTED = bytes.fromhex("5c891a2c24d6e09b2f7ebe01c4d9c053")
DIGEST, KEY_BITS, PREDICTED_BITS = 2918348193, 110.802, 101.464


@pytest.mark.parametrize(("payload", "memory"), [(KEY, None), (PREDICTED, MEMORY)], ids=["K", "P"])
def test_the_golden_payloads_stand(payload: bytes, memory: np.ndarray | None) -> None:
    tables = CodingTables.from_bytes(TABLES)
    assert tables.to_bytes() == TABLES
    assert encode_symbols(SYMBOLS, tables, 0, memory) == payload
    assert np.array_equal(decode_symbols(payload, SYMBOLS.shape, tables, 0, memory), SYMBOLS)


def test_the_golden_digest_and_price_stand() -> None:
    tables = CodingTables.from_bytes(TABLES)
    assert symbol_digest(SYMBOLS) == DIGEST
    assert ideal_bits(SYMBOLS, tables, 0) == pytest.approx(KEY_BITS, abs=0.01)
    assert ideal_bits(SYMBOLS, tables, 0, MEMORY) == pytest.approx(PREDICTED_BITS, abs=0.01)


def test_the_document_shows_the_same_vectors() -> None:
    document = (Path(__file__).parents[3] / "docs" / "symbol-coding.md").read_text().replace("\n", "")
    for vector in (TABLES, KEY, PREDICTED):
        assert vector.hex() in document
