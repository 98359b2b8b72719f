"""Heads: beside the manifest, pinned and versioned on their own, and no part of the id that packets carry."""

import hashlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.bundle import Bundle, FileEntry, Head, Heads, Manifest, RateLevel
from narrows.contract.bundle.heads import DECODER_HEADS, RECORD, check_removable, read_heads
from narrows.contract.bundle.int8_decoder import DECODER_CPU, drop_int8_decoders
from narrows.contract.bundle.manifest import CAMERA_DECODER, DECODER, LABEL_TABLES, MANIFEST
from narrows.contract.errors import (
    BundleError,
    HeadError,
    HeadKindUnknown,
    HeadNameTaken,
    HeadOfAnotherBundle,
    OutputIsTheDecoders,
)
from narrows.contract.outputs import Output

DEMO = Path(__file__).parents[3] / "bundles" / "demo"
WEATHER = Output("weather", "scores", "float32", (2,), "raw", ("dry", "wet"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The demo bundle with its decoder alone."""
    folder = Path(shutil.copytree(DEMO, tmp_path / "bundle"))
    for path in (folder / RECORD, folder / DECODER_HEADS, *folder.glob("head.*")):
        path.unlink(missing_ok=True)
    return folder


def add(folder: Path, *outputs: Output, **changes: Any) -> Heads:
    """Write heads whose graphs are a few bytes."""
    bundle = Bundle.open(folder)
    heads = []
    for output in outputs:
        head = Head(output, FileEntry("0" * 64, 0), bundle.manifest.symbols_sha256, bundle.decoder_sha256)
        (folder / head.file_name).write_bytes(b"graph of " + output.name.encode())
        heads.append(replace(head, file=file_entry_of(folder / head.file_name), **changes))
    (folder / DECODER_HEADS).write_bytes(b"all in one")
    record = Heads(tuple(heads), merged=file_entry_of(folder / DECODER_HEADS))
    (folder / RECORD).write_bytes(record.to_json())
    return record


def file_entry_of(path: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def test_a_bundle_keeps_its_id_when_a_head_is_added(copy: Path) -> None:
    before = Bundle.open(copy)
    add(copy, WEATHER)
    after = Bundle.open(copy)
    assert after.id == before.id
    assert after.outputs == (*before.outputs, WEATHER)
    assert (before.served_path.name, after.served_path.name) == (DECODER, DECODER_HEADS)
    assert after.decoder_path == before.decoder_path
    assert after.served_int8_path is None, "the twin does not have the head"
    assert (before.served_cpu_path.name, after.served_cpu_path.name) == (DECODER_CPU, DECODER_HEADS)
    assert after.cpu_decoder_path.name == DECODER, "the masks of a bundle with heads are those of the float decoder"


def test_the_shipped_bundles_symbols_are_pinned() -> None:
    manifest = Manifest.parse((DEMO / MANIFEST).read_bytes())
    assert manifest.symbols_sha256 == "8acecb143a007fd100e5dc64d6c3fe04746ddffc5fbb5215c5cae0dc4ec7a03d"


def test_a_heads_version_follows_its_graph_and_what_is_declared(copy: Path) -> None:
    head = add(copy, WEATHER).heads[0]
    others = (
        replace(head, file=FileEntry("1" * 64, head.file.size_bytes)),
        replace(head, output=Output("weather", "scores", "float32", (2,), "raw", ("wet", "dry"))),
    )
    assert len({head.version, *(other.version for other in others)}) == 3
    assert Head.parse(head.to_json()).version == head.version


def test_symbols_mean_the_same_whatever_a_bundle_is_called(copy: Path) -> None:
    manifest = Bundle.open(copy).manifest
    renamed = replace(manifest, name="other", version="2", classes=tuple(map(str.upper, manifest.classes)))
    first = RateLevel((1.0, *manifest.levels[0].gain[1:]), manifest.levels[0].bits_per_pixel)
    assert renamed.symbols_sha256 == manifest.symbols_sha256
    assert replace(manifest, levels=(first, *manifest.levels[1:])).symbols_sha256 != manifest.symbols_sha256


def test_a_new_bundle_has_its_decoder_beside_the_manifest(copy: Path) -> None:
    manifest = Bundle.open(copy).manifest
    files = {name: entry for name, entry in manifest.files.items() if name != DECODER}
    (copy / MANIFEST).write_bytes(replace(manifest, schema=2, files=files).to_json())
    with pytest.raises(BundleError, match=r"neither manifest\.json nor heads\.json pins decoder\.onnx"):
        Bundle.open(copy)
    (copy / RECORD).write_bytes(Heads(decoder=manifest.files[DECODER]).to_json())
    before = Bundle.open(copy)
    assert before.served_path.name == DECODER
    (copy / DECODER).write_bytes(b"a better one")
    with pytest.raises(BundleError, match=r"decoder\.onnx is not the file that heads\.json pins"):
        Bundle.open(copy)
    (copy / RECORD).write_bytes(Heads(decoder=file_entry_of(copy / DECODER)).to_json())
    drop_int8_decoders(copy)
    assert Bundle.open(copy).id == before.id, "the id covers the camera's side"


def test_schema_1_keeps_its_decoder_in_the_manifest(copy: Path) -> None:
    manifest = Bundle.open(copy).manifest
    of_schema_1 = manifest.files.keys() - {DECODER, CAMERA_DECODER, LABEL_TABLES}
    files = {name: manifest.files[name] for name in of_schema_1}
    with pytest.raises(BundleError, match=r"does not list decoder\.onnx"):
        Manifest.parse(replace(manifest, schema=1, files=files).to_json())


def test_a_decoder_is_pinned_once(copy: Path) -> None:
    (copy / RECORD).write_bytes(Heads(decoder=Bundle.open(copy).manifest.files[DECODER]).to_json())
    with pytest.raises(BundleError, match="once more"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", ["head.weather.onnx", DECODER_HEADS])
@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")])
def test_a_missing_or_altered_graph_is_named(copy: Path, name: str, change: Callable[[Path], object]) -> None:
    add(copy, WEATHER)
    change(copy / name)
    with pytest.raises(BundleError, match=f"{name} is"):
        Bundle.open(copy)


@pytest.mark.parametrize("field", ["symbols_sha256", "decoder_sha256"])
def test_a_head_of_another_bundle_is_refused(copy: Path, field: str) -> None:
    add(copy, WEATHER, **{field: "e" * 64})
    with pytest.raises(HeadOfAnotherBundle, match=r"head weather .* eeeeeeeeeeeeeeee"):
        Bundle.open(copy)


@pytest.mark.parametrize("second", [WEATHER, Output("labels", "scores", "float32", (2,), "raw")])
def test_two_outputs_of_one_name_are_refused(copy: Path, second: Output) -> None:
    add(copy, WEATHER, second)
    with pytest.raises(HeadNameTaken, match=f"'{second.name}'"):
        Bundle.open(copy)


def test_a_kind_that_this_build_does_not_know_is_named(copy: Path) -> None:
    head = add(copy, WEATHER).heads[0]
    data = head.to_json().replace(b'"scores"', b'"depths"')
    with pytest.raises(HeadKindUnknown, match=r"kind 'depths'; this build knows labels, scores, objects"):
        Head.parse(data)


def test_the_decoders_own_output_cannot_be_removed(copy: Path) -> None:
    heads = add(copy, WEATHER)
    manifest = Bundle.open(copy).manifest
    assert check_removable("weather", manifest, heads).name == "weather"
    with pytest.raises(OutputIsTheDecoders, match="labels is the decoder's own"):
        check_removable("labels", manifest, heads)
    with pytest.raises(BundleError, match="heads of this bundle: weather"):
        check_removable("snow", manifest, heads)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"merged": None}, "pinned where there are heads"),
        ({"heads": ()}, "pinned where there are heads"),
        ({"schema": 2}, "schema 2; this build speaks 1"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(copy: Path, change: dict[str, object], words: str) -> None:
    record = add(copy, WEATHER)
    (copy / RECORD).write_bytes(replace(record, **change).to_json())  # type: ignore[arg-type]  # on purpose
    with pytest.raises(BundleError, match=words):
        read_heads(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symbols_sha256": "abc"}, "is no SHA-256"),
        ({"palette": ((1, 2, 3),)}, "1 colours for 2 classes"),
        ({"output": Output("weather", "scores", "uint8", (2,), "raw")}, "dtype 'uint8'"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(copy: Path, change: dict[str, object], words: str) -> None:
    head = add(copy, WEATHER).heads[0]
    with pytest.raises(BundleError, match=words):
        Head.parse(replace(head, **change).to_json())  # type: ignore[arg-type]  # on purpose


@given(st.binary(max_size=300))
def test_whatever_the_bytes_a_record_or_a_named_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        Head.parse(data)
    with suppress(BundleError):
        assert Heads.parse(data) == Heads(), "a record may leave everything out"


def test_every_error_of_heads_is_an_error_of_bundles() -> None:
    assert issubclass(HeadError, BundleError)
