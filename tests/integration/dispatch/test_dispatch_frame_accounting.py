"""Two thousand frames through the whole path: each outcome is held against what was sent, in order, and the ledger."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from narrows.contract.wire import FrameIdentity, MaskPacket, Refusal
from orchestrator.inference.contract import Batch, Inputs, ServedOutput, Slot
from tests.integration.dispatch.rig import LATENT, QUICK, Camera, MakeCamera, RuleDecoder, Start, rule


@dataclass
class UnevenSlot:
    """One of several slots; how long a batch takes has nothing to do with when it began."""

    number: int
    chance: np.random.Generator
    longest_s: float
    served: tuple[ServedOutput, ...] = ()
    symbols: NDArray[np.int8] = field(default_factory=lambda: np.zeros((2, *LATENT.as_tuple()), np.int8))
    levels: NDArray[np.int32] = field(default_factory=lambda: np.zeros((2, 1), np.int32))

    def __post_init__(self) -> None:
        self.inputs: Inputs = {"symbols": self.symbols, "level": self.levels}

    async def run(self, n: int) -> Batch:
        labels = np.stack([rule(self.symbols[i], int(self.levels[i, 0])) for i in range(n)])
        await asyncio.sleep(self.chance.uniform(0.0, self.longest_s))
        return (labels,)


class UnevenDecoder(RuleDecoder):
    """As many batches at once as there are slots, ending in any order."""

    def __init__(self, longest_s: float) -> None:
        super().__init__()
        self._chance, self._longest_s, self._free = np.random.default_rng(1), longest_s, asyncio.Semaphore(6)
        self.overtakings, self._begun, self._ended = 0, 0, 0

    async def lend(self) -> UnevenSlot:  # type: ignore[override]
        await self._free.acquire()
        self._begun += 1
        return UnevenSlot(self._begun, self._chance, self._longest_s)

    def give_back(self, slot: Slot) -> None:
        assert isinstance(slot, UnevenSlot)
        self._free.release()
        self.overtakings += slot.number < self._ended
        self._ended = max(self._ended, slot.number)


async def test_outcomes_keep_the_order_of_their_entries_however_unevenly_batches_end(
    camera: MakeCamera, dispatching: Start
) -> None:
    cams = [camera(f"cam-{n}") for n in range(3)]
    decoder = UnevenDecoder(longest_s=0.02)
    async with dispatching(with_decoder=decoder) as _:
        for _ in range(20):
            for cam in cams:
                await cam.frames(4)
        for cam in cams:
            await cam.ended(mask=80)
    assert decoder.overtakings > 5, "batches that end in the order in which they began prove nothing"
    for cam in cams:
        assert [outcome.identity for outcome in await cam.outcomes()] == [FrameIdentity(7, n) for n in range(80)]


async def test_the_accounts_of_two_thousand_frames_and_an_epoch_change_hold_one_by_one(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam, rebooted, neighbour = camera("cam", epoch=7), camera("cam", epoch=8), camera("neighbour")
    for stream in (cam, neighbour):
        await stream.settings(b'{"policy": "complete"}')
    settings = replace(QUICK, retention=10_000)
    async with dispatching(settings, with_decoder=UnevenDecoder(longest_s=0.002)):
        await asyncio.gather(play(cam), play(neighbour))
        await play(rebooted)
        await cam.ended(mask=2 * MASKS, refused=2 * REFUSED, lost=2 * LOST)
        await neighbour.ended(mask=MASKS, refused=REFUSED, lost=LOST)
    await hold_one_by_one(cam, {7: cam, 8: rebooted})
    await hold_one_by_one(neighbour, {7: neighbour})


FRAMES = 700


def spoiled(sequence: int) -> bool:
    return sequence % 83 == 40


def lost(sequence: int) -> bool:
    """Some, and never the last: what never came behind it nobody can know."""
    return sequence % 97 == 50 or 300 <= sequence < 310


SENT = [n for n in range(FRAMES) if not lost(n)]
LOST, REFUSED = FRAMES - len(SENT), len([n for n in SENT if spoiled(n)])
MASKS = len(SENT) - REFUSED


async def play(cam: Camera) -> None:
    """Send the frames of an epoch: K, P against the frame before it, spoiled ones; some never come."""
    for n in range(FRAMES):
        before = n - 1
        whole = before in cam.planes and not (lost(before) or spoiled(before) or spoiled(n) or lost(n))
        packet = cam.predicted() if whole and n % 3 else cam.packet()
        if not lost(n):
            await cam.send(structs.replace(packet, own_digest=packet.own_digest ^ 1) if spoiled(n) else packet)


async def hold_one_by_one(cam: Camera, epochs: dict[int, Camera]) -> None:
    """Each outcome against the frame that was sent, in order; the ledger against the outcomes."""
    outcomes, kinds = await cam.outcomes(), Counter[str]()
    assert [o.identity for o in outcomes] == [FrameIdentity(epoch, n) for epoch in epochs for n in SENT]
    for outcome in outcomes:
        assert outcome.identity is not None
        epoch, sequence = outcome.identity.epoch, outcome.identity.sequence
        if isinstance(outcome, MaskPacket):
            assert not spoiled(sequence)
            assert outcome.labels.tolist() == rule(epochs[epoch].planes[sequence], 0).tolist()
            kinds["mask"] += 1
        else:
            assert isinstance(outcome, Refusal)
            assert spoiled(sequence)
            kinds.update(["refused", f"refused:{outcome.reason}"])
    assert await cam.ledger() == {**kinds, "lost": LOST * len(epochs)}
    assert kinds["refused:digest_mismatch"] == kinds["refused"]
    assert await cam.unfinished() == 0
