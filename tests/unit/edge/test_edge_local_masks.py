"""The newest mask on site: never half of one, never at the camera's cost."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from edge_client.masks.local import open_local_masks
from edge_client.masks.local.unix_socket import LENGTH, MOST_READERS, LocalMaskSocket, NewestMask
from narrows.contract.bundle import Bundle
from narrows.contract.errors import StateError
from narrows.contract.wire import FrameIdentity, MaskPacket
from narrows.runtime.pictures import read_labels

BUNDLE = Bundle.open(Path(__file__).parents[3] / "bundles" / "demo")
LABELS = np.random.default_rng(0).integers(0, 11, (45, 60), dtype=np.uint8)


def test_a_folder_has_the_newest_mask_and_what_it_is_of(tmp_path: Path) -> None:
    masks = open_local_masks(str(tmp_path / "deep" / "masks"), "gate-3", BUNDLE)
    masks.put(np.zeros((45, 60), np.uint8), FrameIdentity(9, 6), 1_790_000_000_000)
    masks.put(LABELS, FrameIdentity(9, 7), 1_790_000_000_100)
    masks.close()
    folder = tmp_path / "deep" / "masks"
    assert sorted(path.name for path in folder.iterdir()) == ["mask.json", "mask.png"]
    record = json.loads((folder / "mask.json").read_text())
    assert record | {"areas": {}} == {
        "stream": "gate-3",
        "bundle": BUNDLE.hex_id,
        "epoch": 9,
        "sequence": 7,
        "capture_ms": 1_790_000_000_100,
        "width": 60,
        "height": 45,
        "areas": {},
    }
    assert record["areas"]["road"] == round(float((LABELS == 3).mean()), 4)
    assert (read_labels(folder / "mask.png") == LABELS).all()
    with Image.open(folder / "mask.png") as picture:  # noqa: TID251
        assert json.loads(picture.info["narrows"]) == record
        assert picture.convert("RGB").getpixel((0, 0)) == BUNDLE.manifest.palette[LABELS[0, 0]]


@pytest.mark.parametrize("place", ["", "unix:"])
def test_a_place_without_a_path_is_refused_not_taken_for_the_folder_here(place: str) -> None:
    with pytest.raises(StateError, match="names no path"):
        open_local_masks(place, "gate-3", BUNDLE)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"--local-masks .*file cannot be written"):
        open_local_masks(str(tmp_path / "file"), "gate-3", BUNDLE)


def test_a_disk_that_fails_costs_no_frame(tmp_path: Path) -> None:
    masks = open_local_masks(str(tmp_path / "masks"), "gate-3", BUNDLE)
    (tmp_path / "masks").rmdir()
    masks.put(LABELS, FrameIdentity(1, 0), 0)
    (tmp_path / "masks").mkdir()
    masks.put(LABELS, FrameIdentity(1, 1), 0)
    assert json.loads((tmp_path / "masks" / "mask.json").read_text())["sequence"] == 1


@pytest.mark.parametrize("name", ["mask.png", "mask.json"])
def test_a_link_that_another_put_into_the_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    precious, unmade = tmp_path / "precious", tmp_path / "unmade"
    precious.write_text("precious")
    folder = tmp_path / "masks"
    folder.mkdir()
    (folder / f".{name}.partial").symlink_to(unmade)
    masks = open_local_masks(str(folder), "gate-3", BUNDLE)
    for target in (unmade, precious):
        (folder / f".{name}.partial").unlink(missing_ok=True)
        (folder / f".{name}.partial").symlink_to(target)
        masks.put(LABELS, FrameIdentity(1, 1), 0)
    assert (precious.read_text(), unmade.exists()) == ("precious", False)
    assert (read_labels(folder / "mask.png") == LABELS).all()
    assert json.loads((folder / "mask.json").read_text())["sequence"] == 1


@pytest.mark.parametrize("name", ["mask.png", "mask.json"])
def test_a_pipe_in_the_place_of_a_file_holds_no_frame_up(tmp_path: Path, name: str) -> None:
    masks = open_local_masks(str(tmp_path), "gate-3", BUNDLE)
    os.mkfifo(tmp_path / f".{name}.partial")
    putting = Thread(target=masks.put, args=(LABELS, FrameIdentity(1, 1), 0), daemon=True)
    putting.start()
    putting.join(30)
    assert not putting.is_alive()
    assert json.loads((tmp_path / "mask.json").read_text())["sequence"] == 1


@pytest.fixture
def served(tmp_path: Path) -> Iterator[LocalMaskSocket]:
    masks = open_local_masks(f"unix:{tmp_path / 'm'}", "gate-3", BUNDLE)
    assert isinstance(masks, LocalMaskSocket)
    with closing(masks):
        yield masks


def connect(path: Path) -> socket.socket:
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    reader.settimeout(30)
    reader.connect(str(path))
    return reader


def take(reader: socket.socket) -> MaskPacket:
    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += reader.recv(size - len(data))
        return data

    return MaskPacket.parse(exactly(LENGTH.unpack(exactly(LENGTH.size))[0]))


def put_until_taken(served: LocalMaskSocket, reader: socket.socket) -> MaskPacket:
    """The server counts a reader a moment after it connected; masks come all the while."""
    reader.setblocking(False)
    for sequence in range(1_000_000):
        served.put(LABELS, FrameIdentity(2, sequence), 5)
        try:
            reader.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        break
    reader.setblocking(True)
    return take(reader)


def test_whoever_connects_is_sent_each_mask(tmp_path: Path, served: LocalMaskSocket) -> None:
    with connect(tmp_path / "m") as reader:
        mask = put_until_taken(served, reader)
        assert (mask.labels == LABELS).all()
        assert (mask.bundle_id, mask.identity.epoch, mask.capture_ms) == (BUNDLE.id, 2, 5)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o600


def test_a_reader_that_takes_nothing_loses_masks_and_holds_nobody_up(tmp_path: Path, served: LocalMaskSocket) -> None:
    with connect(tmp_path / "m") as slow, connect(tmp_path / "m") as quick:
        put_until_taken(served, slow)
        put_until_taken(served, quick)
        whole = np.random.default_rng(1).integers(0, 11, (360, 480), dtype=np.uint8)
        for sequence in range(200):  # 13 MB: no buffer of a socket holds them
            served.put(whole, FrameIdentity(3, sequence), 0)
        while take(quick).identity != FrameIdentity(3, 199):
            pass
        seen: list[FrameIdentity] = []
        while not seen or seen[-1] != FrameIdentity(3, 199):
            seen.append(take(slow).identity)
        kept = [identity for identity in seen if identity.epoch == 3]
        assert kept == sorted(kept)
        assert len(kept) < 200


def test_the_newest_replaces_what_nobody_took() -> None:
    newest = NewestMask()
    for message in (b"1", b"2", b"3"):
        newest.put(message)
    assert newest.after(0) == (3, b"3")
    newest.close()
    assert newest.after(0) is None


def test_so_many_may_read_and_no_more(tmp_path: Path, served: LocalMaskSocket) -> None:
    readers = [connect(tmp_path / "m") for _ in range(MOST_READERS)]
    for reader in readers:
        put_until_taken(served, reader)
    with connect(tmp_path / "m") as late:
        assert late.recv(1) == b""
    for reader in readers:
        reader.close()


def test_a_socket_that_was_left_behind_is_taken_and_one_in_use_is_not(tmp_path: Path, served: LocalMaskSocket) -> None:
    with pytest.raises(StateError, match="another program listens there"):
        open_local_masks(f"unix:{tmp_path / 'm'}", "gate-3", BUNDLE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / "left"))
    open_local_masks(f"unix:{tmp_path / 'left'}", "gate-3", BUNDLE).close()
    assert not (tmp_path / "left").exists()
    assert served is not None


def test_a_path_that_cannot_be_bound_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be bound"):
        open_local_masks(f"unix:{tmp_path / 'none' / 'm'}", "gate-3", BUNDLE)


def test_a_program_that_lets_nobody_in_holds_no_camera_up(tmp_path: Path) -> None:
    path, refused = tmp_path / "m", list[str]()

    def begin() -> None:
        try:
            open_local_masks(f"unix:{path}", "gate-3", BUNDLE)
        except StateError as error:
            refused.append(str(error))

    with socket.socket(socket.AF_UNIX) as hung, socket.socket(socket.AF_UNIX) as first:
        hung.bind(str(path))
        hung.listen(0)
        first.connect(str(path))
        beginning = Thread(target=begin, daemon=True)
        beginning.start()
        beginning.join(30)
        assert refused == [f"--local-masks unix:{path}: another program listens there"]
    assert path.is_socket()
