"""``make chaos``: random kills of every part under load; then the books of every stream, and a verdict."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.chaos.account import Line, balance
from benchmarks.chaos.blows import BLOWS
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.parts import Parts
from benchmarks.chaos.reel import Reel
from benchmarks.record import write_result
from narrows.bundle import Bundle
from narrows.errors import NarrowsError
from orchestrator.faults import Cause

_ROOT = Path(__file__).parents[2]
_AIM_S = 5.0
_CAMERAS, _FRAMES_PER_S = 6, 4.0
_SETTLE_S = 60.0
_COUNTS = ("sent", "repeated", "mask", "skipped", "refused", "lost", "duplicate", "unaccounted")


@dataclass(frozen=True)
class Told:
    """What came of a run. ``back_s`` has the seconds to full service after each blow's part was back."""

    back_s: Mapping[str, Sequence[float]]
    books: Sequence[Line]
    faults: Mapping[str, int]
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether every frame that was taken ended exactly once, in all three books."""
        return not any(line.troubles for line in self.books)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
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
    write_result("chaos", f'make chaos ARGS="--kills {options.kills} --seed {options.seed}"', _figures(told, options))
    if not told.sound:
        console.print(f"[red]The books do not agree.[/] Logs: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _run(options: argparse.Namespace, folder: Path, console: Console) -> Told:
    bundle, chance = Bundle.open(options.bundle), random.Random(options.seed)
    console.print("encoding sample frames; starting Redis, Triton and two dispatchers", style="dim")
    reel = await asyncio.to_thread(Reel.encode, bundle, _ROOT / "samples" / "images" / "val")
    begun_s, back_s = time.monotonic(), defaultdict[str, list[float]](list)
    with Parts(bundle, folder) as parts:
        await asyncio.to_thread(parts.wait_ready)
        async with Fleet(parts.redis.url, reel, "cam", _CAMERAS, _FRAMES_PER_S).play() as fleet:
            await fleet.back_after(time.monotonic())
            with _progress(console) as progress:
                task = progress.add_task("", total=options.kills)
                for name in _draw(options.kills, chance):
                    progress.update(task, description=name)
                    try:
                        part_back_s = await BLOWS[name][0](parts, chance)
                        back_s[name].append(await fleet.back_after(part_back_s, most_s=_SETTLE_S))
                    except PermissionError as error:
                        console.print(f"{name} is left out: {error}")
                    await asyncio.sleep(chance.uniform(0.0, 0.5))
                    progress.advance(task)
            console.print("waiting until everything that was sent has ended", style="dim")
            await fleet.settle(_SETTLE_S)
            books = await balance(fleet)
        faults = {cause.value: len(parts.fault_lines(cause)) for cause in Cause}
    return Told(back_s, books, faults, time.monotonic() - begun_s)


def _draw(kills: int, chance: random.Random) -> list[str]:
    """Every blow at least once, if there are so many; then at random."""
    names = [*BLOWS, *chance.choices(list(BLOWS), k=max(0, kills - len(BLOWS)))]
    chance.shuffle(names)
    return names[:kills]


def _progress(console: Console) -> Progress:
    text = TextColumn("{task.description:18}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)


def _print(told: Told, console: Console) -> None:
    struck = Table("blow", "times", "back, median s", "back, worst s", title="Service after the part was back")
    for name, seconds in sorted(told.back_s.items()):
        struck.add_row(name, str(len(seconds)), f"{sorted(seconds)[len(seconds) // 2]:.2f}", f"{max(seconds):.2f}")
    books = Table("stream", *_COUNTS, "verdict", title="The ledger")
    for line in told.books:
        books.add_row(line.stream, *(str(getattr(line, n)) for n in _COUNTS), "; ".join(line.troubles) or "balanced")
    books.add_row("all", *(str(sum(getattr(line, n) for line in told.books)) for n in _COUNTS), "")
    console.print(struck, books)
    late = sum(s > _AIM_S for seconds in told.back_s.values() for s in seconds)
    kills = sum(map(len, told.back_s.values()))
    verdict = "every frame ended exactly once" if told.sound else "frames are unaccounted for"
    console.print(f"{kills} blows in {told.seconds:.0f} s: {verdict}; {late} times service took over {_AIM_S:.0f} s")


def _figures(told: Told, options: argparse.Namespace) -> dict[str, object]:
    return {
        "kills": options.kills,
        "seed": options.seed,
        "seconds": round(told.seconds, 1),
        "sound": told.sound,
        "back_s": {name: [round(s, 3) for s in seconds] for name, seconds in sorted(told.back_s.items())},
        "fault_lines": told.faults,
        "books": [asdict(line) for line in told.books],
    }


if __name__ == "__main__":
    sys.exit(main())
