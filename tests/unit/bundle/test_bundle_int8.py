"""The decoder's int8 twin: beside the manifest, checked when it is there, missed by nobody when it is not."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.bundle import Bundle, Int8Decoder
from narrows.contract.bundle.int8_decoder import DECODER_INT8, RECORD, drop_int8_decoder
from narrows.contract.errors import BundleError

DEMO = Path(__file__).parents[3] / "bundles" / "demo"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO, tmp_path / "bundle"))


def test_a_bundle_keeps_its_id_when_it_gains_or_loses_its_int8_decoder(copy: Path) -> None:
    whole = Bundle.open(copy)
    drop_int8_decoder(copy)
    without = Bundle.open(copy)
    assert whole.int8_decoder is not None
    assert without.int8_decoder is None
    assert whole.id == without.id


def test_the_record_says_what_was_lost_at_every_level(copy: Path) -> None:
    bundle = Bundle.open(copy)
    record = bundle.int8_decoder
    assert record is not None
    assert len(record.points_lost) == len(record.agreement) == len(bundle.manifest.levels)
    assert record.size_bytes == bundle.int8_decoder_path.stat().st_size


def test_a_graph_without_its_record_is_not_used(copy: Path) -> None:
    (copy / RECORD).unlink()
    assert Bundle.open(copy).int8_decoder is None


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")])
def test_a_missing_or_altered_graph_is_named(copy: Path, change: object) -> None:
    assert callable(change)
    change(copy / DECODER_INT8)
    with pytest.raises(BundleError, match=r"decoder\.int8\.onnx is"):
        Bundle.open(copy)


def test_the_twin_of_another_decoder_is_refused(copy: Path) -> None:
    record = Int8Decoder.parse((copy / RECORD).read_bytes())
    (copy / RECORD).write_bytes(dataclasses.replace(record, decoder_sha256="0" * 64).to_json())
    with pytest.raises(BundleError, match=r"decoder\.int8\.json is of another decoder"):
        Bundle.open(copy)


def test_a_record_of_another_schema_is_refused() -> None:
    data = (DEMO / RECORD).read_bytes().replace(b'"schema": 1', b'"schema": 2')
    with pytest.raises(BundleError, match="schema 2"):
        Int8Decoder.parse(data)


@given(st.binary(max_size=300))
def test_whatever_the_bytes_a_record_or_a_named_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        Int8Decoder.parse(data)
