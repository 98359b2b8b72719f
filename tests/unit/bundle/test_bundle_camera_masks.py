"""What masks are made and coded with at the camera: two optional files of a schema-2 bundle, pinned like the others."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from narrows.contract.bundle import Bundle, FileEntry, Manifest
from narrows.contract.bundle.manifest import CAMERA_DECODER, LABEL_TABLES, MANIFEST
from narrows.contract.codec.label_tables import general_label_tables
from narrows.contract.errors import BundleError

DEMO = Path(__file__).parents[3] / "bundles" / "demo"
TABLES = general_label_tables()


def entry(data: bytes, *, required: bool) -> FileEntry:
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data), required)


def plain(manifest: Manifest) -> Manifest:
    """Without what this file adds."""
    files = {name: each for name, each in manifest.files.items() if name not in {CAMERA_DECODER, LABEL_TABLES}}
    return dataclasses.replace(manifest, schema=2, files=files)


def write(folder: Path, labels: bytes, camera: bytes = b"a graph", *, required: bool = True, **changes: Any) -> Path:
    """A copy of the demo bundle that lists both."""
    shutil.copytree(DEMO, folder)
    manifest = plain(Bundle.open(DEMO).manifest)
    files = {LABEL_TABLES: entry(labels, required=required), CAMERA_DECODER: entry(camera, required=False)}
    (folder / LABEL_TABLES).write_bytes(labels)
    (folder / CAMERA_DECODER).write_bytes(camera)
    both = dataclasses.replace(manifest, files=manifest.files | files, **changes)
    (folder / MANIFEST).write_bytes(both.to_json())
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle", TABLES.to_bytes())


def test_a_bundle_has_a_camera_decoder_and_label_tables_where_it_lists_them(folder: Path, tmp_path: Path) -> None:
    both = Bundle.open(folder)
    assert both.has_camera_decoder
    assert both.camera_decoder_path.read_bytes() == b"a graph"
    assert both.label_tables is not None
    assert both.label_tables.id == TABLES.id
    (folder / MANIFEST).write_bytes(plain(both.manifest).to_json())
    neither = Bundle.open(folder)
    assert not neither.has_camera_decoder
    assert neither.label_tables is None


def test_the_tables_id_is_that_of_their_file(folder: Path) -> None:
    tables = Bundle.open(folder).label_tables
    assert tables is not None
    assert tables.id == int.from_bytes(hashlib.sha256((folder / LABEL_TABLES).read_bytes()).digest()[:8], "big")


def test_a_cloud_may_leave_the_camera_decoder_out(folder: Path) -> None:
    (folder / CAMERA_DECODER).unlink()
    assert Bundle.open(folder).has_camera_decoder


@pytest.mark.parametrize("name", [CAMERA_DECODER, LABEL_TABLES])
def test_an_altered_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"other")
    with pytest.raises(BundleError, match=rf"{name} is not the file that manifest.json pins"):
        Bundle.open(folder)


def test_missing_label_tables_are_named(folder: Path) -> None:
    (folder / LABEL_TABLES).unlink()
    with pytest.raises(BundleError, match=r"labels\.bin is missing"):
        Bundle.open(folder)


def test_label_tables_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"labels\.bin: a label tables file begins with"):
        Bundle.open(write(tmp_path / "bundle", b"no tables"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda _: {"schema": 1, "cuts": (), "outputs": ()}, "schema 1 lists no camera_decoder"),
        (lambda m: {"classes": ("road",), "palette": m.palette[:1], "outputs": ()}, "2 to 255 labels, the bundle 1"),
        (lambda _: {"required": False}, "is required where it is listed"),
    ],
)
def test_a_manifest_that_may_not_list_them_is_refused(
    tmp_path: Path, changes: Callable[[Manifest], dict[str, Any]], message: str
) -> None:
    manifest = plain(Bundle.open(DEMO).manifest)
    with pytest.raises(BundleError, match=message):
        Bundle.open(write(tmp_path / "bundle", TABLES.to_bytes(), **changes(manifest)))
