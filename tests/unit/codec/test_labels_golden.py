"""The format stands still: the vectors of docs/label-coding.md, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from narrows.contract.codec import LabelTables, decode_labels, encode_labels
from tests.unit.codec.label_reference import decode
from tests.unit.codec.label_samples import Labels

TABLES = bytes.fromhex(
    "4e52574c0101030002020186b80bd00714029e204e2823b80be803e6098e2823a00fdc0509048e409c2823a00ff430fe"
    "983a2823401f8813b80bd007d00def03d707bf0ba70f8f1377175f1b471f2f231727ff2ae72ecf32b7369f3a873e6f42"
    "5746"
)
TABLES_ID = 0x3A4E8A09FB033053
SCENE = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 3, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 3, 0, 0, 0, 1, 1, 1, 2],
        [4, 4, 4, 0, 3, 0, 0, 0, 1, 1, 2, 2],
        [4, 4, 4, 4, 3, 0, 0, 0, 5, 1, 2, 2],
        [4, 4, 4, 4, 3, 0, 0, 0, 5, 1, 1, 1],
        [6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6],
    ],
    dtype=np.uint8,
)
MANY_LABELS = np.array([[0, 7, 14, 21, 28, 35], [9, 17, 25, 33, 41, 44], [18, 27, 36, 40, 49, 53]], dtype=np.uint8)
SCENE_PAYLOAD = bytes.fromhex("39156a04d2f8e7063c7bbb5069f7ea70723382a94b3793edd6d0")
MANY_PAYLOAD = bytes.fromhex("22189f5b0e28f03ef98af7f0127e1a13febcfdbef985fff3ff1e1d3a214ed17afe1eff84ff181eedf8bdff")


@pytest.mark.parametrize(("labels", "many", "payload"), [(SCENE, 7, SCENE_PAYLOAD), (MANY_LABELS, 255, MANY_PAYLOAD)])
def test_the_golden_payloads_stand(labels: Labels, many: int, payload: bytes) -> None:
    tables = LabelTables.parse(TABLES)
    assert tables.id == TABLES_ID
    assert encode_labels(labels, many, tables) == payload
    for back in (decode_labels, decode):
        assert np.array_equal(back(payload, labels.shape, many, tables), labels)


def test_the_document_shows_the_same_vectors() -> None:
    text = (Path(__file__).parents[3] / "docs" / "label-coding.md").read_text()
    for vector in (TABLES, SCENE_PAYLOAD, MANY_PAYLOAD):
        assert vector.hex() in text.replace("\n", "")
    assert f"`{TABLES_ID:016x}`" in text
    for row in (*SCENE.tolist(), *MANY_LABELS.tolist()):
        assert " ".join(map(str, row)) in " ".join(text.split())
