"""The decoder's int8 twins: beside the manifest, checked when it is there, missed by nobody when it is not."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.bundle import Bundle, Int8Decoder
from narrows.contract.bundle.int8_decoder import (
    CPU_RECORD,
    DECODER_CPU,
    DECODER_INT8,
    RECORD,
    drop_int8_decoders,
)
from narrows.contract.bundle.manifest import DECODER
from narrows.contract.errors import BundleError

DEMO = Path(__file__).parents[3] / "bundles" / "demo"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO, tmp_path / "bundle"))


def test_a_bundle_keeps_its_id_when_it_gains_or_loses_its_int8_decoders(copy: Path) -> None:
    whole = Bundle.open(copy)
    drop_int8_decoders(copy)
    without = Bundle.open(copy)
    assert whole.int8_decoder is not None
    assert whole.cpu_decoder is not None
    assert without.int8_decoder is without.cpu_decoder is None
    assert whole.id == without.id


def test_processors_run_their_twin_and_the_float_decoder_where_there_is_none(copy: Path) -> None:
    whole = Bundle.open(copy)
    assert whole.cpu_decoder_path.name == whole.served_cpu_path.name == DECODER_CPU
    assert whole.served_path.name == DECODER, "what GPUs run stays"
    (copy / CPU_RECORD).unlink()
    without = Bundle.open(copy)
    assert without.cpu_decoder_path.name == without.served_cpu_path.name == DECODER


def test_the_record_says_what_was_lost_at_every_level(copy: Path) -> None:
    bundle = Bundle.open(copy)
    for record, path in ((bundle.int8_decoder, DECODER_INT8), (bundle.cpu_decoder, DECODER_CPU)):
        assert record is not None
        assert len(record.points_lost) == len(record.agreement) == len(bundle.manifest.levels)
        assert record.size_bytes == (copy / path).stat().st_size


def test_a_graph_without_its_record_is_not_used(copy: Path) -> None:
    (copy / RECORD).unlink()
    assert Bundle.open(copy).int8_decoder is None


@pytest.mark.parametrize("name", [DECODER_INT8, DECODER_CPU])
@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")])
def test_a_missing_or_altered_graph_is_named(copy: Path, change: object, name: str) -> None:
    assert callable(change)
    change(copy / name)
    with pytest.raises(BundleError, match=f"{re.escape(name)} is"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", [RECORD, CPU_RECORD])
def test_the_twin_of_another_decoder_is_refused(copy: Path, name: str) -> None:
    record = Int8Decoder.parse((copy / name).read_bytes())
    (copy / name).write_bytes(dataclasses.replace(record, decoder_sha256="0" * 64).to_json())
    with pytest.raises(BundleError, match=f"{re.escape(name)} is of another decoder"):
        Bundle.open(copy)


def test_a_broken_record_is_named(copy: Path) -> None:
    (copy / CPU_RECORD).write_bytes(b"{}")
    with pytest.raises(BundleError, match=r"decoder\.cpu\.json"):
        Bundle.open(copy)


def test_a_record_of_another_schema_is_refused() -> None:
    data = (DEMO / RECORD).read_bytes().replace(b'"schema": 1', b'"schema": 2')
    with pytest.raises(BundleError, match="schema 2"):
        Int8Decoder.parse(data)


@given(st.binary(max_size=300))
def test_whatever_the_bytes_a_record_or_a_named_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        Int8Decoder.parse(data)
