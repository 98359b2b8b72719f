"""A camera seals with its own key, each identity once, and takes up a new key file while it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from edge_client.encode.sealing import Sealing
from edge_client.state import StateFolder
from narrows.contract.errors import SecretError, StateError
from narrows.contract.seal import Keyring, open_packet
from narrows.contract.secret_files import write_secret
from narrows.contract.wire import FeaturePacket, LatentShape

RING = Keyring().rotated(0, None).rotated(0, None)
ISSUED_MS = 1_790_000_000_000
PACKET = FeaturePacket(1, 5, 0, 4, 0, LatentShape(2, 2, 2), 6, b"symbols")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cam-1.key"
    write_secret(path, replace(RING.derive("cam-1", 1), issued_ms=ISSUED_MS).to_json())
    return path


def test_a_packet_opens_with_the_key_that_the_cloud_derives(file: Path) -> None:
    sealed = Sealing(file, "cam-1", Clock()).sealed(PACKET)
    assert open_packet(sealed, RING.derive("cam-1", 1)) == PACKET


@pytest.mark.parametrize("later", [PACKET, structs.replace(PACKET, epoch=4, sequence=9)])
def test_no_identity_is_sealed_twice(file: Path, later: FeaturePacket) -> None:
    sealing = Sealing(file, "cam-1", Clock())
    sealing.sealed(PACKET)
    with pytest.raises(ValueError, match="once"):
        sealing.sealed(later)


def test_a_new_key_file_is_taken_up_within_a_second(file: Path) -> None:
    clock = Clock()
    sealing = Sealing(file, "cam-1", clock)
    write_secret(file, RING.derive("cam-1", 2).to_json())
    assert sealing.sealed(PACKET).key_id == 1
    clock.now_s = 1.0
    assert sealing.sealed(structs.replace(PACKET, sequence=1)).key_id == 2


def test_a_new_key_file_that_cannot_be_used_changes_nothing(file: Path) -> None:
    clock = Clock()
    sealing = Sealing(file, "cam-1", clock)
    for sequence, spoil in enumerate((b"{}", RING.derive("cam-2", 2).to_json()), start=1):
        write_secret(file, spoil)
        clock.now_s += 1.0
        assert sealing.sealed(structs.replace(PACKET, sequence=sequence)).key_id == 1
    file.unlink()
    clock.now_s += 1.0
    assert sealing.sealed(structs.replace(PACKET, sequence=9)).key_id == 1


def test_another_cameras_key_a_lax_mode_and_no_file_are_refused_at_the_start(file: Path, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="is the key of cam-1, and this is cam-2"):
        Sealing(file, "cam-2", Clock())
    file.chmod(0o640)
    with pytest.raises(SecretError, match="chmod 600"):
        Sealing(file, "cam-1", Clock())
    with pytest.raises(SecretError, match="cannot be read"):
        Sealing(tmp_path / "none", "cam-1", Clock())


def test_a_lost_epoch_with_a_clock_behind_the_key_is_refused(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state") as state:
        with pytest.raises(StateError, match="NTP"):
            state.next_epoch(1_000, not_before_ms=ISSUED_MS)
        first = state.next_epoch(ISSUED_MS + 5, not_before_ms=ISSUED_MS)
        assert state.next_epoch(1_000, not_before_ms=ISSUED_MS) > first  # stored: the clock may say what it wants
