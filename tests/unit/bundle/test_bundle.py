import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.bundle import Bundle, Manifest, bundle_id_of, format_id, parse_id
from narrows.contract.errors import BundleError, BundleUnknown, ShapeMismatch
from narrows.contract.wire import FeaturePacket, LatentShape

DEMO = Path(__file__).parents[3] / "bundles" / "demo"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def demo() -> Bundle:
    return Bundle.open(DEMO)


def packet_for(bundle: Bundle, **changes: Any) -> FeaturePacket:
    packet = FeaturePacket(
        bundle_id=bundle.id,
        epoch=1,
        sequence=0,
        capture_ms=0,
        level=0,
        shape=bundle.manifest.latent,
        own_digest=0,
        payload=b"x",
    )
    return dataclasses.replace(packet, **changes)


def test_the_demo_bundle_is_whole_small_and_has_at_least_three_levels(demo: Bundle) -> None:
    required = [entry for entry in demo.manifest.files.values() if entry.required]
    assert sum(entry.size_bytes for entry in required) <= 8_000_000
    assert len(demo.manifest.levels) >= 3
    assert demo.manifest.licence
    assert (DEMO / "MODEL_CARD.md").is_file()


def test_levels_run_from_fine_to_coarse(demo: Bundle) -> None:
    rates = [level.bits_per_pixel for level in demo.manifest.levels]
    assert rates == sorted(rates, reverse=True)


def test_the_id_is_the_hash_of_the_manifest(demo: Bundle) -> None:
    assert demo.id == bundle_id_of((DEMO / "manifest.json").read_bytes())
    assert parse_id(demo.hex_id) == demo.id


def test_any_changed_byte_of_any_file_is_noticed(copy: Path) -> None:
    for name in ("decoder.onnx", "encoder.int8.onnx", "tables.bin"):
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(BundleError, match=f"{name} is not the file that manifest.json pins"):
            Bundle.open(copy)
        shutil.copyfile(DEMO / name, copy / name)
    assert Bundle.open(copy).id == Bundle.open(DEMO).id


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "decoder.onnx").unlink()
    with pytest.raises(BundleError, match=r"decoder\.onnx is missing"):
        Bundle.open(copy)


def test_the_float_encoder_may_be_left_out(copy: Path) -> None:
    (copy / "encoder.float.onnx").unlink(missing_ok=True)
    assert Bundle.open(copy).manifest.files["encoder.float.onnx"].required is False


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        Bundle.open(tmp_path)


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("levels"), "levels"),
        (lambda raw: raw.update(schema=2), "bundle schema 2"),
        (lambda raw: raw.update(levels=[]), "1 to 256 rate levels"),
        (lambda raw: raw["levels"][0]["gain"].pop(), "level 0 needs"),
        (lambda raw: raw["levels"][0]["gain"].__setitem__(0, -1.0), "positive gains"),
        (lambda raw: raw["palette"].pop(), "palette"),
        (lambda raw: raw["files"].pop("tables.bin"), "does not list tables.bin"),
        (lambda raw: raw["files"].update({"../evil": raw["files"]["tables.bin"]}), "not a file name"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    demo: Bundle, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    raw = json.loads(demo.manifest.to_json())
    change(raw)
    with pytest.raises(BundleError, match=message):
        Manifest.parse(json.dumps(raw).encode())


def test_a_manifest_survives_its_own_json(demo: Bundle) -> None:
    assert Manifest.parse(demo.manifest.to_json()) == demo.manifest


@given(st.binary(max_size=300))
def test_whatever_the_bytes_a_manifest_or_a_named_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        Manifest.parse(data)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"bundle_id": 1}, BundleUnknown),
        ({"shape": LatentShape(1, 1, 1)}, ShapeMismatch),
        ({"level": 250}, ShapeMismatch),
        ({"cut": 1}, ShapeMismatch),
    ],
)
def test_a_packet_of_another_kind_is_refused_by_name(
    demo: Bundle, changes: dict[str, Any], error: type[Exception]
) -> None:
    demo.check(packet_for(demo))
    with pytest.raises(error):
        demo.check(packet_for(demo, **changes))


def test_the_finest_level_within_a_budget(demo: Bundle) -> None:
    manifest = demo.manifest
    assert manifest.finest_level_within(float("inf")) == 0
    assert manifest.finest_level_within(0) == len(manifest.levels) - 1
    assert manifest.finest_level_within(manifest.levels[1].bits_per_pixel) == 1


@pytest.mark.parametrize("text", ["", "12", "g" * 16, "0" * 17])
def test_an_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="16 hexadecimal digits"):
        parse_id(text)


@given(st.integers(0, 2**64 - 1))
def test_ids_survive_being_written(bundle_id: int) -> None:
    assert parse_id(format_id(bundle_id)) == bundle_id
