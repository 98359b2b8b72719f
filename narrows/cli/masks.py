"""``narrows masks``: follow a stream's masks from the terminal."""

from __future__ import annotations

import json
import sys
import time
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.group import command_group
from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl
from narrows.contract.errors import RecordError, ServiceUnavailable
from narrows.runtime.reminder import Reminder
from narrows.runtime.writing import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from narrows.client.painting import Legend
    from narrows.client.subscription import Subscription
    from narrows.client.subscription.subscription import Outcome
    from narrows.contract.wire import MaskPacket

_TRY_AGAIN_S = 0.5
_SILENT_S = 3.0

masks = command_group("Follow a stream's masks.")


class Format(StrEnum):
    """How an outcome is shown."""

    JSON = "json"
    PNG = "png"


@masks.callback()
def _group() -> None:
    """Follow a stream's masks."""


@masks.command()
def tail(
    stream: Annotated[str, typer.Argument(help="Stream id, for example cam-1.")],
    *,
    form: Annotated[Format, typer.Option("--format", help="json: a line a frame; png: a palette picture a mask.")] = (
        Format.JSON
    ),
    count: Annotated[int | None, typer.Option(min=1, help="End after so many outcomes.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for --format png.")] = Path("masks"),
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder: names and colours of its classes.")] = None,
    from_id: Annotated[str, typer.Option("--from", help='Begin behind this entry id; "0" is the oldest kept.')] = "$",
    timeout_s: Annotated[float | None, typer.Option("--timeout", min=0.0, help="End after so many silent seconds.")] = (
        None
    ),
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Print every outcome of a stream as it comes: masks, skipped frames, refusals.

    What it waits for, Redis, the install or the stream's frames, it says on standard error.

    Example: narrows masks tail cam-1 --bundle bundles/demo

    Example: narrows masks tail cam-1 --format png --count 10 --out masks

    Example: narrows masks tail cam-1 --from 0 --timeout 1 | jq .areas
    """
    from narrows.client.painting import Legend
    from narrows.client.subscription import subscribe
    from narrows.client.subscription.describe import describe
    from narrows.contract.wire import MaskPacket

    legend = Legend() if bundle is None else Legend.of_bundle(bundle)
    with _awaited(
        lambda: subscribe(stream, redis_url=redis_url, from_id=from_id, timeout_s=timeout_s), timeout_s
    ) as outcomes:
        silence = outcomes.on_silence = _Silence(stream)
        for outcome in islice(_readable(outcomes), count):
            silence.over()
            line = {"stream": stream, "entry": outcomes.last_id}
            line |= describe(outcome, legend.names, received_ms=time.time() * 1000)
            if form is Format.PNG and isinstance(outcome, MaskPacket):
                line["file"] = str(_write_png(out, stream, outcome, legend))
            print(json.dumps(line), flush=True)


def _readable(outcomes: Subscription) -> Iterator[Outcome]:
    """The outcomes; what cannot be read is named on standard error, and the next one follows."""
    while True:
        try:
            yield next(outcomes)
        except StopIteration:
            return
        except RecordError as error:
            print(f"{outcomes.last_id}: {error}", file=sys.stderr, flush=True)


def _awaited(begin: Callable[[], Subscription], timeout_s: float | None) -> Subscription:
    """The subscription as soon as it can begin.

    Raises:
        ServiceUnavailable: it could not within ``timeout_s``.
    """
    reminder, begun_s = Reminder(), time.monotonic()
    while True:
        try:
            return begin()
        except ServiceUnavailable as error:
            if timeout_s is not None and time.monotonic() - begun_s >= timeout_s:
                raise
            if reminder.due(str(error)):
                print(f"narrows: waiting: {error}", file=sys.stderr)
        time.sleep(_TRY_AGAIN_S)


class _Silence:
    """Says that nothing comes of a stream, and where to look: soon, and again while that lasts."""

    def __init__(self, stream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._reminder = Reminder(clock=clock)
        self._since_s = clock()

    def __call__(self) -> None:
        """Ask for each time that there was nothing to read."""
        words = (
            f"no frame of {self._stream} ends: is its camera running (`narrows streams list`), "
            "and a decoder ready (`narrows doctor`)?"
        )
        if self._clock() - self._since_s >= _SILENT_S and self._reminder.due(words):
            print(f"narrows: waiting: {words}", file=sys.stderr)

    def over(self) -> None:
        """Something came."""
        self._since_s = self._clock()
        self._reminder.over()


def _write_png(folder: Path, stream: str, mask: MaskPacket, legend: Legend) -> Path:
    from narrows.client.painting import paint

    path = folder / f"{stream}-{mask.identity.epoch}-{mask.identity.sequence:010d}.png"
    write_file(path, paint(mask.outputs, legend.for_bundle(mask.bundle_id)))
    return path
