"""``make chaos``: random kills of every part under load; then the accounts of every stream, and a verdict."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.chaos.cluster_injections import OF_CLUSTER
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.frame_accounting import Line, balance
from benchmarks.chaos.injections import INJECTIONS, Injection, Struck, how_many
from benchmarks.chaos.parts import Parts
from benchmarks.chaos.redis_cluster import NODES
from benchmarks.chaos.reel import Reel
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle
from narrows.contract.errors import NarrowsError
from orchestrator.telemetry.faults import Cause

_ROOT = Path(__file__).parents[2]
_AIM_S = 5.0
_CAMERAS, _FRAMES_PER_S = 6, 4.0
_WAVES, _WITHIN_S, _OF_A_KIND = (1, 2, 2, 3), 1.0, 2
_COUNTS = ("sent", "repeated", "mask", "skipped", "refused", "lost", "duplicate", "unaccounted")


@dataclass(frozen=True)
class Told:
    """What came of a run.

    Attributes:
        back_s: seconds to full service after the parts of each injection's wave were back, by injection.
        faults: lines of the dispatchers' logs, by cause.
        overlapping: injections that struck while another part was down.
        masks: masks that were read, each compared with the one decoded here.
    """

    back_s: Mapping[str, Sequence[float]]
    accounts: Sequence[Line]
    faults: Mapping[str, int]
    overlapping: int
    masks: int
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether every frame that was taken ended exactly once, in all three accounts, ``complete`` ones in masks.

        Behind a cluster it may have been acknowledged and not copied: then it counts as lost, and no frame else does.
        """
        return not any(line.troubles for line in self.accounts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dispatchers", type=int, default=3)
    parser.add_argument("--tritons", type=int, default=2)
    parser.add_argument(
        "--cluster", action="store_true", help="three masters and three replicas in the place of one Redis"
    )
    parser.add_argument("--bundle", type=Path, default=_ROOT / "bundles" / "demo")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    folder = Path(tempfile.mkdtemp(prefix="narrows-chaos-"))
    try:
        told = asyncio.run(_run(options, folder, console))
    except NarrowsError as error:
        console.print(f"[red]{error}[/]\nlogs: {folder}")
        return 1
    _print(told, console)
    arguments = f"{'--cluster ' if options.cluster else ''}--kills {options.kills} --seed {options.seed}"
    name = "chaos-cluster" if options.cluster else "chaos"
    write_result(name, f'make chaos ARGS="{arguments}"', _figures(told, options))
    if not told.sound:
        console.print(f"[red]The accounts do not agree.[/] Logs: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _run(options: argparse.Namespace, folder: Path, console: Console) -> Told:
    bundle, chance = Bundle.open(options.bundle), random.Random(options.seed)
    counts = f"{options.dispatchers} dispatchers and {options.tritons} Tritons"
    redis = "a Redis Cluster of six nodes" if options.cluster else "Redis"
    injections = OF_CLUSTER if options.cluster else INJECTIONS
    console.print(f"encoding and decoding sample frames; starting {redis}, {counts}", style="dim")
    reel = await asyncio.to_thread(Reel.encode, bundle, _ROOT / "samples" / "images" / "val")
    begun_s, back_s = time.monotonic(), defaultdict[str, list[float]](list)
    with Parts(
        bundle, folder, dispatchers=options.dispatchers, tritons=options.tritons, cluster=options.cluster
    ) as parts:
        await asyncio.to_thread(parts.wait_ready)
        most = {struck: min(_OF_A_KIND, how_many(parts, struck)) for struck in Struck} | {Struck.NODE: 1}
        waves = draw(options.kills, chance, most, injections)
        async with Fleet(parts.redis_url, reel, "cam", _CAMERAS, _FRAMES_PER_S).play() as fleet:
            await fleet.back_after(time.monotonic())
            with _progress(console) as progress:
                task = progress.add_task("", total=options.kills)
                for wave in waves:
                    progress.update(task, description=" + ".join(wave))
                    backs = await asyncio.gather(
                        *_strikes([(each, injections[each]) for each in wave], parts, chance, console)
                    )
                    back = await fleet.back_after(max(backs))
                    for name in wave:
                        back_s[name].append(back)
                    if not console.is_terminal:  # where no bar is drawn
                        done = sum(map(len, back_s.values()))
                        console.print(f"{done} of {options.kills}: {' + '.join(wave)}: back after {back:.1f} s")
                    await asyncio.sleep(chance.uniform(0.0, 0.5))
                    progress.advance(task, len(wave))
            console.print("waiting until everything that was sent has ended", style="dim")
            await (fleet.settle_after_failovers() if options.cluster else fleet.settle())
            accounts = await balance(fleet, replicated=options.cluster)
        faults = {cause.value: len(parts.fault_lines(cause)) for cause in Cause}
    masks = sum(line.mask for line in accounts)
    overlapping = sum(len(wave) for wave in waves if len(wave) > 1)
    return Told(back_s, accounts, faults, overlapping, masks, time.monotonic() - begun_s)


def draw(
    kills: int, chance: random.Random, most: Mapping[Struck, int], injections: Mapping[str, Injection]
) -> list[tuple[str, ...]]:
    """Waves of injections that overlap: every injection at least once, if there are so many; then at random.

    Args:
        kills: how many injections.
        chance: decides.
        most: how many parts of a kind a wave may strike.
        injections: by name.
    """
    names = [*injections, *chance.choices(list(injections), k=max(0, kills - len(injections)))][:kills]
    chance.shuffle(names)
    waves: list[tuple[str, ...]] = []
    while names:
        size = chance.choice(_WAVES)
        kinds = Counter[Struck]()
        wave: list[str] = []
        for name in names[:size]:
            kinds[injections[name].struck] += 1
            if kinds[injections[name].struck] > most[injections[name].struck]:
                break
            wave.append(name)
        del names[: len(wave)]
        waves.append(tuple(wave))
    return waves


def _strikes(
    wave: Sequence[tuple[str, Injection]], parts: Parts, chance: random.Random, console: Console
) -> list[Awaitable[float]]:
    """The injections of a wave, begun within :data:`_WITHIN_S` of each other, each on a part of its own."""
    counts = {struck: how_many(parts, struck) for struck in Struck}
    free = {struck: chance.sample(range(count), count) for struck, count in counts.items()}
    return [_after(chance.uniform(0.0, _WITHIN_S), each, parts, free[each[1].struck].pop(), console) for each in wave]


async def _after(delay_s: float, named: tuple[str, Injection], parts: Parts, which: int, console: Console) -> float:
    await asyncio.sleep(delay_s)
    try:
        return await named[1].strike(parts, which)
    except PermissionError as error:
        console.print(f"{named[0]} is left out: {error}")
        return time.monotonic()


def _progress(console: Console) -> Progress:
    text = TextColumn("{task.description:50}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)


def _print(told: Told, console: Console) -> None:
    struck = Table(
        "injected fault", "times", "back, median s", "back, worst s", title="Service after the part was back"
    )
    for name, seconds in sorted(told.back_s.items()):
        struck.add_row(name, str(len(seconds)), f"{sorted(seconds)[len(seconds) // 2]:.2f}", f"{max(seconds):.2f}")
    accounts = Table("stream", *_COUNTS, "verdict", title="The ledger")
    for line in told.accounts:
        reasons = [f"{count} {reason}" for reason, count in line.refusals.items()]
        verdict = "; ".join([*(line.troubles or ["balanced"]), *reasons])
        accounts.add_row(line.stream, *(str(getattr(line, n)) for n in _COUNTS), verdict)
    accounts.add_row("all", *(str(sum(getattr(line, n) for line in told.accounts)) for n in _COUNTS), "")
    console.print(struck, accounts)
    late = sum(s > _AIM_S for seconds in told.back_s.values() for s in seconds)
    kills = sum(map(len, told.back_s.values()))
    verdict = "every frame ended exactly once, as it should" if told.sound else "the accounts do not agree"
    console.print(
        f"{kills} faults in {told.seconds:.0f} s, {told.overlapping} overlapping: {verdict}; {told.masks} masks "
        f"compared pixel by pixel; {late} times service took over {_AIM_S:.0f} s"
    )


def _figures(told: Told, options: argparse.Namespace) -> dict[str, object]:
    of_replication = {
        "nodes": NODES,
        "lost_acknowledged": sum(line.lost for line in told.accounts),
        "ends_rolled_back": sum(line.rolled_back for line in told.accounts),
    }
    return {
        "kills": options.kills,
        "seed": options.seed,
        "seconds": round(told.seconds, 1),
        "dispatchers": options.dispatchers,
        "tritons": options.tritons,
        "overlapping": told.overlapping,
        "masks_compared": told.masks,
        "masks_wrong": sum("show something else" in trouble for line in told.accounts for trouble in line.troubles),
        "sound": told.sound,
        **(of_replication if options.cluster else {}),
        "back_s": {name: [round(s, 3) for s in seconds] for name, seconds in sorted(told.back_s.items())},
        "fault_lines": told.faults,
        "accounts": [asdict(line) for line in told.accounts],
    }


if __name__ == "__main__":
    sys.exit(main())
