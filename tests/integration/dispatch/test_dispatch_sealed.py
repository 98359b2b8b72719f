"""Sealed packets end in masks, what is not authentic is refused by name and takes no other frame's place."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from narrows.contract.errors import SecretError
from narrows.contract.seal import CameraKey, Keyring, seal_packet
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.wire import FeaturePacket, MaskPacket, Refusal
from orchestrator.dispatch import Dispatcher
from orchestrator.dispatch.unsealing import KeySettings
from tests.integration.dispatch.rig import Camera, MakeCamera, Start, until

Forge = Callable[[Camera, CameraKey, Keyring], FeaturePacket]


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    made = KeyFolder(tmp_path / "keys")
    made.begin(Keyring().rotated(now_ms(), None))
    return made


def now_ms() -> int:
    return int(time.time() * 1000)


def required(folder: KeyFolder) -> KeySettings:
    return KeySettings(folder.path, require_sealed=True)


def sealed_by(dispatcher: Dispatcher, key_id: int) -> float:
    return dispatcher.metrics.registry.get_sample_value("narrows_sealed_frames_total", {"key_id": str(key_id)}) or 0.0


def refused(dispatcher: Dispatcher, reason: str) -> float:
    labels = {"outcome": "refused", "reason": reason, "group": "default"}
    return dispatcher.metrics.registry.get_sample_value("narrows_frames_total", labels) or 0.0


async def test_sealed_k_and_p_packets_end_in_the_masks_of_open_ones(
    folder: KeyFolder, camera: MakeCamera, dispatching: Start
) -> None:
    cam, opened = camera("cam"), camera("open")
    key = folder.read().issue("cam", now_ms())
    packets = [cam.packet(), cam.predicted(), cam.predicted(2)]
    async with dispatching(keys=KeySettings(folder.path)) as dispatcher:
        await cam.send(*(seal_packet(packet, key) for packet in packets))
        await opened.send(*packets)
        await cam.ended(mask=3)
        await opened.ended(mask=3)
        assert (sealed_by(dispatcher, 1), sealed_by(dispatcher, 0)) == (3, 3)
    masks, plain = await cam.outcomes(), await opened.outcomes()
    for mask, other in zip(masks, plain, strict=True):
        assert isinstance(mask, MaskPacket)
        assert isinstance(other, MaskPacket)
        assert mask.labels.tolist() == other.labels.tolist()


FORGED: dict[str, tuple[Forge, str]] = {
    "an open packet": (lambda cam, key, ring: cam.packet(), "seal_missing"),
    "altered": (lambda cam, key, ring: replace(seal_packet(cam.packet(), key), level=1), "seal_broken"),
    "of another stream": (lambda cam, key, ring: seal_packet(cam.packet(), ring.issue("other", 0)), "seal_broken"),
    "of an unknown key": (lambda cam, key, ring: replace(seal_packet(cam.packet(), key), key_id=9), "seal_key_unknown"),
    "of an unknown suite": (lambda cam, key, ring: replace(seal_packet(cam.packet(), key), cipher=7), "seal"),
    "of the largest epoch": (lambda cam, key, ring: cam.packet(epoch=2**64 - 1, cipher=1, key_id=1), "seal_broken"),
}


@pytest.mark.parametrize(("forge", "reason"), FORGED.values(), ids=FORGED.keys())
async def test_a_forgery_is_refused_by_name_and_takes_nothing_from_the_true_frame(
    forge: Forge, reason: str, folder: KeyFolder, camera: MakeCamera, dispatching: Start
) -> None:
    cam, neighbour = camera("cam"), camera("neighbour")
    ring = folder.read()
    key, other = ring.issue("cam", now_ms()), ring.issue("neighbour", now_ms())
    forged = forge(cam, key, ring)
    cam.sequence = 0
    async with dispatching(keys=required(folder)) as dispatcher:
        await cam.send(forged)
        await cam.ended(outside=1, **{f"refused:{reason}": 1})
        await cam.send(seal_packet(cam.packet(), key))  # the frame whose identity was claimed
        await neighbour.send(*(seal_packet(neighbour.packet(), other) for _ in range(3)))
        await cam.ended(mask=1)
        await neighbour.ended(mask=3)
        assert refused(dispatcher, reason) == 1
    refusal, mask = await cam.outcomes()
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.identity) == (reason, None)
    assert isinstance(mask, MaskPacket)
    (letter,) = await cam.dead()
    assert letter[b"reason"] == reason.encode()


async def test_a_replayed_packet_is_a_duplicate_and_a_redelivered_one_is_masked(
    folder: KeyFolder, camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera("cam")
    key = folder.read().issue("cam", now_ms())
    sealed = [seal_packet(cam.packet(), key) for _ in range(3)]
    entries = await cam.send(*sealed)
    await cam.leave_pending(*entries)  # a dispatcher took them up and died
    async with dispatching(keys=required(folder)):
        await cam.ended(mask=3)
        await cam.send(*sealed, *sealed)
        await cam.ended(mask=3, duplicate=6)
    assert len(await cam.outcomes()) == 3


async def test_a_running_dispatcher_takes_up_rotation_and_revocation(
    folder: KeyFolder, camera: MakeCamera, dispatching: Start
) -> None:
    cam, neighbour = camera("cam"), camera("neighbour")
    old = folder.read().issue("cam", now_ms())
    beside = folder.read().issue("neighbour", now_ms())
    async with dispatching(keys=required(folder)) as dispatcher:
        await cam.send(seal_packet(cam.packet(), old))
        await cam.ended(mask=1)
        folder.change(lambda ring: ring.rotated(now_ms(), now_ms() + 3_600_000))
        new = folder.read().issue("cam", now_ms())

        async def new_is_good() -> bool:
            await cam.send(seal_packet(cam.packet(), new))
            await asyncio.sleep(0.1)
            return sealed_by(dispatcher, 2) > 0

        await until(new_is_good, cam.ledger)
        before = (await cam.ledger())["mask"]
        await cam.send(seal_packet(cam.packet(), old), seal_packet(cam.packet(), new))  # both, within the time of grace

        async def both() -> bool:
            return (await cam.ledger())["mask"] >= before + 2

        await until(both, cam.ledger)
        folder.change(lambda ring: ring.without_stream("cam"))

        async def is_refused() -> bool:
            await cam.send(seal_packet(cam.packet(), new))
            await asyncio.sleep(0.1)
            return refused(dispatcher, "seal_key_revoked") > 0

        await until(is_refused, cam.ledger)
        await neighbour.send(seal_packet(neighbour.packet(), beside))
        await neighbour.ended(mask=1)


async def test_a_key_folder_that_breaks_is_a_named_fault_and_the_keys_stay(
    folder: KeyFolder, camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera("cam")
    ring = folder.read()
    key = ring.issue("cam", now_ms())

    def fault(dispatcher: Dispatcher) -> float:
        labels = {"cause": "keys_unreadable"}
        return dispatcher.metrics.registry.get_sample_value("narrows_faults_total", labels) or 0.0

    async with dispatching(keys=required(folder)) as dispatcher:
        folder.file.write_text("{")

        async def said() -> bool:
            return fault(dispatcher) == 1

        await until(said)
        await cam.send(seal_packet(cam.packet(), key))
        await cam.ended(mask=1)
        folder.file.unlink()
        folder.file.touch(mode=0o600)
        folder.file.write_bytes(ring.without_stream("cam").to_json())

        async def is_refused() -> bool:
            await cam.send(seal_packet(cam.packet(), key))
            await asyncio.sleep(0.1)
            return refused(dispatcher, "seal_key_revoked") > 0

        await until(is_refused, cam.ledger)


async def test_to_require_seals_without_keys_is_refused_at_the_start(dispatching: Start) -> None:
    with pytest.raises(SecretError, match="--keys"):
        async with dispatching(keys=KeySettings(None, require_sealed=True)):
            pass


async def test_a_folder_that_others_may_read_is_refused_at_the_start(folder: KeyFolder, dispatching: Start) -> None:
    folder.file.chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        async with dispatching(keys=required(folder)):
            pass
