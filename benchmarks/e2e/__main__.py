"""``make e2e``: the scenes in turn, then every stream's accounts, a summary, and ``results/e2e.json``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.e2e.frame_accounting import Line, balance, journal, ledgers
from benchmarks.e2e.scenes import SCENES, Figures, bundles_in
from benchmarks.e2e.stack import PROJECT, ROOT, Stack
from benchmarks.e2e.waiting import StackError, until
from benchmarks.record import write_result
from narrows.contract.errors import NarrowsError

_HERE = Path(__file__).parent
_STAND_INS = ("redis", "triton", "prometheus", "alertmanager", "grafana", "redis-exporter")
_SETTLE_S = 240.0


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    subprocess.run([_HERE / "engine.sh"], check=True)
    with tempfile.TemporaryDirectory(prefix="narrows-e2e-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bundles_in(folder, ROOT / "bundles" / "demo")
        stack = Stack(folder)
        if stack.compose("ps", "--all", "--quiet"):  # two runs would read and kill each other's
            remedy = f"wait until it is over, or `docker compose --project-name {PROJECT} down --volumes` what it left"
            console.print(f"[red]another make e2e has its containers on this engine: {remedy}[/]")
            return 1
        try:
            _images(stack, console)
            played, accounts = _play(stack, console), _settled(stack, console)
        except (StackError, NarrowsError, KeyboardInterrupt) as error:
            console.print(f"[red]{error or 'stopped'}[/]\n{_last_words(stack)}")
            return 1
        finally:
            console.print("taking everything down", style="dim")
            stack.down()
    sound = all(line.sound for line in accounts)
    _print(played, accounts, console)
    write_result("e2e", "make e2e", {"scenes": played, "accounts": [asdict(line) for line in accounts], "sound": sound})
    return 0 if sound else 1


def _images(stack: Stack, console: Console) -> None:
    """Public images where they can be pulled, stand-ins elsewhere; ours are built from the Dockerfiles as they are."""
    images = stack.compose("config", "--images", *_STAND_INS).split()
    wanted = "".join(f"{name} {next(each for each in images if _of(name, each))}\n" for name in _STAND_INS)
    subprocess.run([_HERE / "standins" / "build.sh"], input=wanted, text=True, check=True)
    console.print("building our two images", style="dim")
    stack.compose("build", "models", "cameras", most_s=1800)


def _of(name: str, image: str) -> bool:
    return {"triton": "tritonserver", "redis-exporter": "redis_exporter"}.get(name, f"{name}:") in image


def _play(stack: Stack, console: Console) -> dict[str, Figures]:
    played: dict[str, Figures] = {}
    for scene in SCENES:
        begun_s = time.monotonic()
        played[scene.__name__] = scene(stack)
        console.print(f"{scene.__name__}: {played[scene.__name__]}  ({time.monotonic() - begun_s:.0f} s)")
    return played


def _settled(stack: Stack, console: Console) -> list[Line]:
    """The accounts once cameras have stopped and all that they sent has ended."""
    console.print("waiting until everything that was sent has ended", style="dim")
    stack.compose("stop", "cameras")
    streams = [overview.stream for overview in ledgers(stack)]
    until(lambda: not any(overview.backlog for overview in ledgers(stack)), "the streams are empty", _SETTLE_S)
    return balance(stack, {stream: journal(stack, stream) for stream in streams})


def _last_words(stack: Stack) -> str:
    try:
        return stack.compose("ps", "--all") + stack.compose("logs", "--tail", "8", "--no-color")
    except StackError as error:
        return str(error)


def _print(played: dict[str, Figures], accounts: list[Line], console: Console) -> None:
    table = Table(
        "stream", "sent", "dropped by the camera", "ended", "lost", "waiting", "verdict", title="The accounts"
    )
    for line in accounts:
        cells = (line.sent, line.dropped, line.ended, line.lost, line.waiting)
        table.add_row(line.stream, *map(str, cells), "balanced" if line.sound else "NOT BALANCED")
    console.print(table)
    console.print(f"{len(played)} scenes held; {sum(line.sent for line in accounts):,} frames sent")


if __name__ == "__main__":
    sys.exit(main())
