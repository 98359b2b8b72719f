"""Roots come, are good for a time of grace and go; a revoked key stays revoked; a file is a key ring or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import SealKeyRevoked, SealKeyUnknown, SecretError
from narrows.contract.seal import CameraKey, Keyring
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.secret_files import read_secret, write_secret

HOUR_MS = 3_600_000
FIRST = Keyring().rotated(0, None)


def test_a_rotation_leaves_the_old_key_good_until_its_time_is_over() -> None:
    ring = FIRST.rotated(HOUR_MS, 3 * HOUR_MS)
    ring.check("cam-1", 1, 2 * HOUR_MS)
    ring.check("cam-1", 2, 2 * HOUR_MS)
    with pytest.raises(SealKeyRevoked, match="time of key 1 is over"):
        ring.check("cam-1", 1, 3 * HOUR_MS)
    ring.check("cam-1", 2, 1e15)


def test_a_second_rotation_does_not_lengthen_a_time_of_grace() -> None:
    ring = FIRST.rotated(0, HOUR_MS).rotated(1, 9 * HOUR_MS)
    assert [root.until_ms for root in ring.roots.values()] == [HOUR_MS, 9 * HOUR_MS, None]


def test_rotation_for_one_camera_leaves_the_others_as_they_are() -> None:
    ring = FIRST.without_stream("cam-1").rotated(5, None)
    ring.check("cam-2", 1, 1e15)
    with pytest.raises(SealKeyRevoked, match="revoked"):
        ring.check("cam-1", 1, 6)
    assert ring.issue("cam-1", 6).key_id == 2


def test_a_revoked_stream_gets_no_key_of_the_same_root() -> None:
    with pytest.raises(SecretError, match="rotate"):
        FIRST.without_stream("cam-1").issue("cam-1", 6)


def test_a_revoked_root_ends_at_once_and_an_unknown_one_is_named() -> None:
    with pytest.raises(SealKeyRevoked):
        FIRST.without_root(1, 5).check("cam-1", 1, 5)
    with pytest.raises(SealKeyUnknown, match=r"no key 2 here; there are \[1\]"):
        FIRST.check("cam-1", 2, 5)
    with pytest.raises(SecretError, match="no root 7"):
        FIRST.without_root(7, 5)


def test_ids_end_at_255() -> None:
    ring = Keyring()
    for _ in range(255):
        ring = ring.rotated(0, None)
    assert ring.newest.key_id == 255
    with pytest.raises(SecretError, match="255"):
        ring.rotated(0, None)


def test_no_two_streams_or_roots_share_a_key() -> None:
    ring = FIRST.rotated(0, None)
    keys = [ring.derive(stream, key_id).secret for stream in ("a", "b", "ab") for key_id in (1, 2)]
    assert len(set(keys)) == len(keys)
    assert len({secret[:32] for secret in keys} | {secret[32:] for secret in keys}) == 2 * len(keys)


@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_bytes_are_a_record_or_a_named_error(data: bytes) -> None:
    for parse in (Keyring.parse, CameraKey.parse):
        with pytest.raises(SecretError):
            parse(data)


@given(seed=st.integers(0, 5000), value=st.sampled_from([None, -1, 0, 256, 1 << 60, "x", [], {}, 1.5, True, "00" * 32]))
def test_a_file_with_one_value_changed_is_read_or_refused_by_name(seed: int, value: object) -> None:
    ring = FIRST.rotated(1, 2).without_stream("cam-1")
    for parse, data in ((Keyring.parse, ring.to_json()), (CameraKey.parse, ring.issue("cam-2", 5).to_json())):
        parse(data)
        changed = json.loads(data)
        _change(changed, seed, value)
        with suppress(SecretError):
            parse(json.dumps(changed).encode())


def _change(record: Any, seed: int, value: object) -> None:
    places = list(range(len(record))) if isinstance(record, list) else list(record)
    place = places[seed % len(places)]
    if isinstance(record[place], list | dict) and record[place] and seed % 3:
        _change(record[place], seed // 3, value)
    else:
        record[place] = value


def test_files_are_read_back_and_have_tight_modes(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.begin(FIRST)
    assert folder.read() == FIRST
    assert [oct(path.stat().st_mode & 0o777) for path in (folder.path, folder.file)] == ["0o700", "0o600"]
    key = FIRST.issue("cam-1", 5)
    write_secret(tmp_path / "cam-1.key", key.to_json())
    assert CameraKey.parse(read_secret(tmp_path / "cam-1.key")) == key
    assert oct((tmp_path / "cam-1.key").stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_could_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "cam-1.key"
    write_secret(path, b"x")
    path.chmod(mode)
    with pytest.raises(SecretError, match=rf"mode 0{mode:o}.*chmod 600"):
        read_secret(path)


def test_a_folder_that_others_could_enter_is_refused(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.begin(FIRST)
    folder.path.chmod(0o750)
    with pytest.raises(SecretError, match="chmod 700"):
        folder.read()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder.file.unlink(),
        lambda folder: folder.file.write_bytes(b"{}"),
        lambda folder: folder.file.write_bytes(folder.file.read_bytes()[:-9]),
        lambda folder: (folder.file.unlink(), folder.path.rmdir()),
    ],
)
def test_what_is_no_key_folder_is_named(tmp_path: Path, spoil: Callable[[KeyFolder], object]) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.begin(FIRST)
    spoil(folder)
    with pytest.raises(SecretError, match=str(folder.path)):
        folder.read()


def test_a_second_beginning_leaves_the_first_keys_alone(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.begin(FIRST)
    with pytest.raises(SecretError, match="there already"):
        folder.begin(FIRST.rotated(0, None))
    assert folder.read() == FIRST


def test_every_change_is_another_stamp(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.begin(FIRST)
    stamps = [folder.stamp()]
    for stream in ("a", "b", "c"):
        folder.change(lambda ring, stream=stream: ring.without_stream(stream))  # type: ignore[misc]
        stamps.append(folder.stamp())
    assert all(before != after for before, after in pairwise(stamps))
    assert len(folder.read().revoked) == 3
