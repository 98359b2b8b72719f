import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.bundle import Bundle, Cut, Manifest, bundle_id_of, format_id, parse_id
from narrows.contract.bundle.manifest import CAMERA_DECODER, LABEL_TABLES
from narrows.contract.errors import BundleError, BundleUnknown, ShapeMismatch
from narrows.contract.outputs import Output
from narrows.contract.outputs.labels import labels_output
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
    return replace(packet, **changes)


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
        (lambda raw: raw.update(schema=3), "bundle schema 3"),
        (lambda raw: raw.update(schema=True), "bundle schema True"),
        (lambda raw: raw.update(schema=2), "declares its cuts"),
        (lambda raw: raw.update(cuts=[]), "schema 1 declares no cuts"),
        (lambda raw: raw.update(outputs=[]), "schema 1 declares no outputs"),
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
    raw = json.loads(of_schema_1(demo.manifest).to_json())
    change(raw)
    with pytest.raises(BundleError, match=message):
        Manifest.parse(json.dumps(raw).encode())


def test_a_manifest_survives_its_own_json(demo: Bundle) -> None:
    assert Manifest.parse(demo.manifest.to_json()) == demo.manifest


def of_schema_1(manifest: Manifest) -> Manifest:
    """The demo's manifest without what schema 2 declares."""
    files = {name: entry for name, entry in manifest.files.items() if name not in {CAMERA_DECODER, LABEL_TABLES}}
    return dataclasses.replace(manifest, schema=1, cuts=(), outputs=(), files=files)


SCENE = Output("scene", "scores", "float32", (3,), "raw")


def declaring(manifest: Manifest, **changes: Any) -> Manifest:
    """The same bundle in schema 2, with a second output unless said otherwise."""
    fields: dict[str, Any] = {"schema": 2, "outputs": (*manifest.outputs, SCENE)} | changes
    return dataclasses.replace(manifest, **fields)


def test_schema_1_means_one_cut_and_one_label_map_of_the_pictures_size(demo: Bundle) -> None:
    manifest = Manifest.parse(of_schema_1(demo.manifest).to_json())
    assert manifest.schema == 1
    assert manifest.cuts == (Cut("bottleneck", manifest.latent),)
    size = (manifest.input.height, manifest.input.width)
    assert manifest.outputs == (Output("labels", "labels", "uint8", size, "row-xor-deflate", manifest.classes),)


def test_the_demo_manifest_is_written_again_byte_by_byte(demo: Bundle) -> None:
    assert demo.manifest.to_json() == (DEMO / "manifest.json").read_bytes()


def test_cuts_and_outputs_that_are_declared_survive_json(demo: Bundle) -> None:
    two = declaring(demo.manifest, cuts=(*demo.manifest.cuts, Cut("stem", LatentShape(8, 90, 120))))
    found = Manifest.parse(two.to_json())
    assert found == two
    assert [output.name for output in found.outputs] == ["labels", "scene"]
    assert [cut.latent.channels for cut in found.cuts] == [demo.manifest.latent.channels, 8]


def test_schema_1_cannot_say_what_it_has_no_words_for(demo: Bundle) -> None:
    with pytest.raises(ValueError, match="schema 2"):
        declaring(demo.manifest, schema=1).to_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda m: {"outputs": (SCENE,)}, "first output is the label map.*scene is not"),
        (lambda m: {"outputs": (replace(SCENE, shape=(len(m.classes),), classes=m.classes),)}, "scene is not"),
        (lambda m: {"outputs": (labels_output(4, 4, ("a", "b")),)}, "of the bundle's classes"),
        (lambda m: {"outputs": (*m.outputs, replace(SCENE, kind="poses"))}, "kind 'poses'"),
        (lambda m: {"cuts": (Cut("stem", LatentShape(1, 1, 1)),)}, "cut 0 is the bottleneck"),
        (lambda m: {"cuts": m.cuts * 2}, "each of another name"),
        (lambda m: {"cuts": (*m.cuts, Cut("wide", LatentShape(2000, 1, 1)))}, "beyond what a packet can carry"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(
    demo: Bundle, changes: Callable[[Manifest], dict[str, Any]], message: str
) -> None:
    written = declaring(demo.manifest, **changes(demo.manifest)).to_json()
    with pytest.raises(BundleError, match=message):
        Manifest.parse(written)


def test_the_declaration_says_which_cuts_a_packet_may_name(demo: Bundle) -> None:
    stem = LatentShape(8, 90, 120)
    two = dataclasses.replace(demo, manifest=declaring(demo.manifest, cuts=(*demo.manifest.cuts, Cut("stem", stem))))
    two.check(packet_for(demo, cut=1, shape=stem))
    with pytest.raises(ShapeMismatch, match="shape"):
        two.check(packet_for(demo, cut=1))
    with pytest.raises(ShapeMismatch, match=r"cut 2; the bundle's cuts are 0 \(bottleneck\), 1 \(stem\)"):
        two.check(packet_for(demo, cut=2))


def test_a_bundle_of_several_cuts_is_refused_until_it_can_be_decoded(copy: Path) -> None:
    manifest = Bundle.open(copy).manifest
    two = declaring(manifest, cuts=(*manifest.cuts, Cut("stem", LatentShape(8, 90, 120))))
    (copy / "manifest.json").write_bytes(two.to_json())
    with pytest.raises(BundleError, match="cut 0 alone"):
        Bundle.open(copy)


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


def test_a_cut_that_is_not_declared_is_refused_by_number_and_name(demo: Bundle) -> None:
    with pytest.raises(ShapeMismatch, match=r"cut 1; the bundle's cuts are 0 \(bottleneck\)"):
        demo.check(packet_for(demo, cut=1))


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
