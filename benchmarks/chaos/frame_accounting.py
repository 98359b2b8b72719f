"""Three accounts of the same frames: the cameras' own, the ledger in Redis, and the outcomes as they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.chaos.fleet import Camera, Fleet


@dataclass(frozen=True)
class Line:
    """One stream's accounts. ``troubles`` is empty if they agree and every frame sent ended exactly once.

    Attributes:
        lost: what the ledger calls lost; behind a cluster, frames that it acknowledged and that replication lost.
        rolled_back: ends that were read and that replication lost.
    """

    stream: str
    sent: int
    repeated: int
    mask: int
    skipped: int
    refused: int
    lost: int
    duplicate: int
    unaccounted: int
    refusals: Mapping[str, int]
    troubles: tuple[str, ...]
    rolled_back: int = 0


async def balance(fleet: Fleet, *, replicated: bool = False) -> list[Line]:
    """Compare the accounts of every stream; the fleet has settled.

    Args:
        fleet: the cameras.
        replicated: masters were lost whose replicas took over: an acknowledged frame may be lost, if it is counted.
    """
    return [
        _line(camera, await fleet.ledger(camera), await fleet.left(camera), await fleet.pending(camera), replicated)
        for camera in fleet.cameras
    ]


def _line(camera: Camera, ledger: dict[str, int], left: int, pending: int, replicated: bool = False) -> Line:  # noqa: FBT001, FBT002
    sent, read = len(camera.taken_s), camera.kinds()
    counted = {name: ledger.get(name, 0) for name in ("mask", "skipped", "refused", "lost", "outside", "duplicate")}
    endless = [sequence for sequence in camera.taken_s if sequence not in camera.ends]
    twice = [sequence for sequence, kinds in camera.ends.items() if len(kinds) > 1]
    strange = [sequence for sequence in camera.ends if sequence not in camera.taken_s]
    troubles = [
        *_losses(endless, counted["lost"], replicated=replicated),
        *([f"ended twice: {twice[:5]}"] if twice else []),
        *([f"ended, never sent: {strange[:5]}"] if strange else []),
        *(f"{k}: ledger {counted[k]}, read {read[k]}" for k in ("mask", "skipped", "refused") if counted[k] != read[k]),
        *([f"{counted['outside']} refused outside the sequence"] if counted["outside"] else []),
        *([f"{left} entries left in the stream"] if left else []),
        *([f"{pending} entries not acknowledged"] if pending else []),
        *([f"masks that show something else: {camera.wrong[:5]}"] if camera.wrong else []),
        *(
            [f"complete, and {amiss}"]
            if camera.complete and (amiss := _without_mask(camera, broken=bool(endless)))
            else []
        ),
        *([f"{counted['duplicate']} duplicates, {camera.repeated} repeated"] if _too_many(camera, counted) else []),
    ]
    ended = counted["mask"] + counted["skipped"] + counted["refused"] + counted["lost"]
    if ended != sent:
        troubles.append(f"{sent} sent, {ended} in the ledger")
    return Line(
        stream=camera.stream,
        sent=sent,
        repeated=camera.repeated,
        mask=counted["mask"],
        skipped=counted["skipped"],
        refused=counted["refused"],
        lost=counted["lost"],
        duplicate=counted["duplicate"],
        unaccounted=abs(len(endless) - counted["lost"] * replicated) + len(twice) + len(strange),
        refusals=dict(camera.refusals),
        troubles=tuple(troubles),
        rolled_back=camera.rolled_back,
    )


def _losses(endless: Sequence[int], lost: int, *, replicated: bool) -> list[str]:
    if replicated:
        return [] if len(endless) == lost else [f"{len(endless)} acknowledged and without an end, {lost} called lost"]
    without = [f"without an end: {endless[:5]}"] if endless else []
    return [*without, *([f"{lost} called lost that were taken"] if lost else [])]


def _without_mask(camera: Camera, *, broken: bool) -> str:
    """Ends of a ``complete`` stream that are no masks; ``broken``: a reference of its frames may be lost."""
    ends = {f"refused as {reason}": count for reason, count in camera.refusals.items()}
    if broken:
        ends.pop("refused as reference_lost", None)
    ends |= {"skipped": camera.kinds()["skipped"]} if camera.kinds()["skipped"] else {}
    return ", ".join(f"{count} {how}" for how, count in ends.items())


def _too_many(camera: Camera, counted: dict[str, int]) -> bool:
    """A duplicate is a frame that was sent again because its first acknowledgement was lost; nothing else may be."""
    return counted["duplicate"] > camera.repeated
