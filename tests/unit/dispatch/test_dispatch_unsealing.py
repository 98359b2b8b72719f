"""A key is judged whenever it is used: that it was good before, and is at hand still, makes it no better."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from narrows.contract.errors import SealKeyRevoked, SealRefused
from narrows.contract.seal import Keyring, seal_packet
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.wire import FeaturePacket, LatentShape
from orchestrator.dispatch.unsealing import KeySettings, Unsealing
from orchestrator.telemetry.faults import Faults
from orchestrator.telemetry.metrics import Metrics

HOUR_MS = 3_600_000


@dataclass
class Clock:
    now_ms: int

    def __call__(self) -> float:
        return self.now_ms / 1000


def packet(sequence: int) -> FeaturePacket:
    return FeaturePacket(1, 7, sequence, 0, 0, LatentShape(1, 1, 1), 0, b"symbols")


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    made = KeyFolder(tmp_path / "keys")
    made.begin(Keyring().rotated(int(time.time() * 1000), None))
    return made


def test_a_key_that_was_used_within_its_grace_is_refused_once_it_is_over(folder: KeyFolder) -> None:
    now_ms = int(time.time() * 1000)
    old = folder.read().issue("cam", now_ms)
    folder.change(lambda ring: ring.rotated(now_ms, now_ms + HOUR_MS))
    new, clock, metrics = folder.read().issue("cam", now_ms), Clock(now_ms), Metrics()
    unsealing = Unsealing(KeySettings(folder.path), metrics, Faults(metrics), clock)
    for sequence in range(2):
        assert unsealing.opened(seal_packet(packet(sequence), old), "cam").payload == b"symbols"
    clock.now_ms += HOUR_MS + 1
    with pytest.raises(SealKeyRevoked, match="is over"):
        unsealing.opened(seal_packet(packet(2), old), "cam")
    assert unsealing.opened(seal_packet(packet(3), new), "cam").payload == b"symbols"


def test_a_key_derived_for_one_stream_opens_no_packet_of_another(folder: KeyFolder) -> None:
    now_ms, metrics = int(time.time() * 1000), Metrics()
    unsealing = Unsealing(KeySettings(folder.path), metrics, Faults(metrics), Clock(now_ms))
    key = folder.read().issue("cam", now_ms)
    unsealing.opened(seal_packet(packet(0), key), "cam")
    with pytest.raises(SealRefused):
        unsealing.opened(seal_packet(packet(1), key), "other")
