"""The bundle of a split network: what it declares, what is refused when it is opened, and by what name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc.model_config_pb2 import ModelConfig

from narrows.contract.bundle import Bundle, SplitBundle, SplitManifest, Tail, models_of, open_bundle
from narrows.contract.bundle.split_plan import read_plan
from narrows.contract.errors import BundleError
from narrows.runtime.triton_config import InstanceKind, fill_repository, model_config, model_name
from tests import split_bundles

DEMO = Path(__file__).parents[3] / "bundles" / "demo"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return split_bundles.write(tmp_path_factory.mktemp("bundle"))


def test_either_sort_of_bundle_is_opened_by_its_manifest(bundle: SplitBundle) -> None:
    assert isinstance(open_bundle(DEMO), Bundle)
    opened = open_bundle(bundle.folder)
    assert isinstance(opened, SplitBundle)
    assert opened.id == bundle.id
    with pytest.raises(BundleError, match="a split network's bundle, which has no symbols"):
        Bundle.open(bundle.folder)


def test_a_manifest_says_the_same_after_its_json(bundle: SplitBundle) -> None:
    assert SplitManifest.parse(bundle.manifest.to_json()) == bundle.manifest


def test_levels_are_those_of_the_default_cut_in_bits_a_pixel(bundle: SplitBundle) -> None:
    pixels = split_bundles.HEIGHT * split_bundles.WIDTH
    assert [level.bits_per_pixel for level in bundle.manifest.levels] == [8 * 480 / pixels, 8 * 240 / pixels]


def test_symbols_come_back_whole_at_every_cut_and_level(bundle: SplitBundle) -> None:
    plane = split_bundles.early(split_bundles.picture(99))
    for levels in bundle.plans:
        for plan, bits in zip((level[0] for level in levels), split_bundles.BITS, strict=True):
            symbols = plan.quantiser.symbols(plane)
            decoded = plan.coder.decode(plan.coder.encode(symbols), split_bundles.EARLY)
            np.testing.assert_array_equal(decoded, symbols)
            error = np.abs(plan.quantiser.values(decoded) - plane)
            assert np.median(error) <= 255 / 2**bits  # a few lie beyond the range that calibration saw


def test_each_tail_is_a_model_of_its_own(bundle: SplitBundle) -> None:
    first, second = models_of(bundle)
    assert first.id == bundle.id
    assert len({Tail(bundle, number).id for number in range(256)}) == 256
    assert first.bundle_id == second.bundle_id == bundle.id
    assert [each.name for each in second.inputs] == ["tensor_0", "tensor_1"]


def test_what_is_left_out_is_not_served_and_nothing_is_an_error(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path / "bundle")
    (made.folder / "tail0.onnx").unlink()
    (made.folder / "head0.onnx").unlink()
    opened = SplitBundle.open(made.folder)
    assert [tail.number for tail in opened.tails] == [1]
    (made.folder / "tail1.onnx").unlink()
    with pytest.raises(BundleError, match="has no tail to serve"):
        models_of(SplitBundle.open(made.folder))


def test_the_configuration_of_a_tail_has_its_tensors_and_no_batch_where_it_takes_none(bundle: SplitBundle) -> None:
    batched, alone = (
        text_format.Parse(model_config(tail, kind=InstanceKind.CPU), ModelConfig()) for tail in bundle.tails
    )
    assert (batched.max_batch_size, list(batched.input[0].dims)) == (8, [3, 8, 12])
    assert batched.HasField("dynamic_batching")
    assert (alone.max_batch_size, [list(each.dims) for each in alone.input]) == (0, [[1, 3, 8, 12], [1, 3, 1, 1]])
    assert not alone.HasField("dynamic_batching")
    assert [list(each.dims) for each in alone.output] == [[1, 3], [1, 3, 8, 12]]
    assert alone.model_warmup[0].batch_size == 0
    assert list(alone.model_warmup[0].inputs["tensor_1"].dims) == [1, 3, 1, 1]


def test_tails_are_installed_under_their_own_names(bundle: SplitBundle, tmp_path: Path) -> None:
    folders = [fill_repository(tail, tmp_path) for tail in bundle.tails]
    assert [folder.name for folder in folders] == [model_name(tail.id) for tail in bundle.tails]
    assert (folders[1] / "1" / "model.onnx").read_bytes() == (bundle.folder / "tail1.onnx").read_bytes()


@pytest.mark.parametrize("name", ["head0.onnx", "tail1.onnx", "plan0.bin"])
def test_an_altered_file_is_named(tmp_path: Path, name: str) -> None:
    made = split_bundles.write(tmp_path)
    (tmp_path / name).write_bytes(b"x" + (tmp_path / name).read_bytes())
    with pytest.raises(BundleError, match=f"{name} is not the file"):
        SplitBundle.open(made.folder)


def test_a_plan_of_another_cut_or_network_is_named(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path)
    (tmp_path / "plan0.bin").write_bytes((tmp_path / "plan1.bin").read_bytes())
    with pytest.raises(BundleError, match=r"plan0\.bin is not the file"):
        SplitBundle.open(made.folder)


def test_a_plan_may_not_be_left_out(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path)
    (tmp_path / "plan1.bin").unlink()
    with pytest.raises(BundleError, match=r"plan1\.bin is missing"):
        SplitBundle.open(made.folder)


def _renamed(raw: dict[str, Any]) -> None:
    raw["cuts"][1]["name"] = raw["cuts"][0]["name"]


def _shortened(raw: dict[str, Any]) -> None:
    raw["cuts"][1]["levels"] = raw["cuts"][1]["levels"][:1]


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        at: Any = raw
        for part in way:
            at = at[part]
        at[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_renamed, "each of another name"),
        (_shortened, "all have as many"),
        (_set("cuts", []), "1 to 256 cuts"),
        (_set("default_level", 2), "the default among them"),
        (_set("schema", 1), "a split network's is 2"),
        (_set("schema", 3), "a split network's is 2"),
        (_set("cuts.0.tensors.0.dtype", "float64"), "it is one of"),
        (_set("cuts.0.tensors.0.shape", [4096, 4096]), "at most"),
        (_set("cuts.0.tensors", []), "1 to 32 cross"),
        (_set("cuts.0.levels.0.precision_bits", 17), "precision_bits"),
        (_set("classes", ["road"]), "classes and palette"),
        (_set("outputs", []), "1 to 32 outputs"),
        (_set("outputs.0.kind", "poses"), "this build knows"),
        (_set("cuts.0.colour", "red"), "colour"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused_by_name(
    bundle: SplitBundle, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    raw = json.loads(bundle.manifest.to_json())
    change(raw)
    with pytest.raises(BundleError, match=message):
        SplitManifest.parse(json.dumps(raw).encode())


def test_a_file_of_a_cut_that_is_not_listed_is_named(bundle: SplitBundle) -> None:
    raw = json.loads(bundle.manifest.to_json())
    del raw["files"]["tail1.onnx"]
    with pytest.raises(BundleError, match=r"does not list tail1\.onnx, of cut 1 \(early\+mean\)"):
        SplitManifest.parse(json.dumps(raw).encode())


def _plan0(bundle: SplitBundle) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = msgspec.msgpack.decode((bundle.folder / "plan0.bin").read_bytes())
    return found


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", np.array([1, 0, 1], "<f4").tobytes(), "no positive number"),
        ("step", np.array([1, np.nan, 1], "<f4").tobytes(), "no positive number"),
        ("shift", np.array([1, 1], "<i4").tobytes(), "a plan of"),
        ("least", np.array([1 << 16, 0, 0], "<i4").tobytes(), "no range"),
        ("most", np.array([1 << 20, 0, 0], "<i4").tobytes(), "beyond 16 bits"),
        ("tables", b"junk", "tables file begins"),
        ("largest", 65536, "largest"),
        ("low_bits", 16, "low_bits"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_name(
    bundle: SplitBundle, field: str, value: object, message: str
) -> None:
    levels = _plan0(bundle)
    levels[1][0][field] = value
    with pytest.raises(BundleError, match=message):
        read_plan(msgspec.msgpack.encode(levels), split_bundles.BITS, [split_bundles.EARLY])


def test_what_a_plans_coder_does_not_take_is_clipped_by_the_camera(bundle: SplitBundle) -> None:
    """A picture that goes as far as the ranges say would end it."""
    levels = _plan0(bundle)
    levels[0][0]["largest"] = 5
    plan = read_plan(msgspec.msgpack.encode(levels), split_bundles.BITS, [split_bundles.EARLY])[0][0]
    payload, _ = plan.encode(split_bundles.early(split_bundles.picture(3)))
    assert np.abs(plan.decode(payload, split_bundles.EARLY)).max() == 5


def test_a_plan_of_other_levels_or_tensors_is_refused(bundle: SplitBundle) -> None:
    data = (bundle.folder / "plan0.bin").read_bytes()
    early = split_bundles.EARLY
    for bits, shapes in (
        ((8,), [early]),
        (split_bundles.BITS, [early, early]),
        (split_bundles.BITS, [(4, *early[1:])]),
    ):
        with pytest.raises(BundleError, match="a plan of"):
            read_plan(data, bits, shapes)


@given(data=st.binary(max_size=200))
def test_whatever_the_bytes_a_plan_or_a_named_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        read_plan(data, (8,), [(3,)])


def test_no_two_tails_have_an_id_in_common(tmp_path: Path) -> None:
    bundles = [split_bundles.write(tmp_path / name, name=name) for name in ("one", "two")]
    ids = [tail.id for each in bundles for tail in each.tails]
    assert len(set(ids)) == len(ids) == 4, "Triton has a model of its own for each"
    assert [each.tails[0].id for each in bundles] == [each.id for each in bundles]
