"""``narrows streams``: what the cloud knows of each stream, and changing it."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import UNSET, json, to_builtins
from msgspec.structs import replace

from narrows.cli.group import command_group
from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl
from narrows.cli.saying import say
from narrows.contract.wire.streams import MaskPacking, Policy, StreamSettings
from narrows.runtime.surroundings import caller
from narrows.runtime.words import counted
from narrows.runtime.writing import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from narrows.client.registry import StreamOverview, StreamRegistry
    from narrows.contract.records.report import StreamRates

_PIPED_WIDTH = 180
_RATES = ("offered/s", "skipped/s", "ahead/s")


class Sort(StrEnum):
    """What comes first in the list."""

    NAME = "name"
    OFFERED = "offered"
    SKIPPED = "skipped"
    CLOCK_AHEAD = "clock-ahead"

    @property
    def rate(self) -> str:
        """The rate of that name in :class:`~narrows.contract.records.report.StreamRates`."""
        return f"{self.replace('-', '_')}_per_s"


streams = command_group("List, set and remove the settings of streams.")
Stream = Annotated[str, typer.Argument(help="Stream id, for example cam-1.")]
By = Annotated[str | None, typer.Option("--by", help="Who asks, for the audit.", show_default="USER@HOST")]


@streams.command("list")
def list_streams(
    *,
    sort: Annotated[
        Sort,
        typer.Option(
            help="offered, skipped, clock-ahead: the first ten of each dispatcher by frames a second that came, that "
            "were skipped or trimmed, that were captured ahead of the server's clock; name: all streams."
        ),
    ] = Sort.NAME,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a stream instead of a table.")] = False,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Show every stream: settings, what it sends, backlog, how its frames ended, when it was last heard of.

    Example: narrows streams list

    Example: narrows streams list --sort offered

    Example: narrows streams list --json | jq 'select(.backlog > 10)'
    """
    from narrows.client.registry import overviews
    from narrows.client.registry.rates import by_rate, top_streams

    with open_registry(redis_url) as registry:
        if sort is Sort.NAME:
            rates: dict[str, StreamRates] = {}
            found = overviews(registry)
        else:
            rates = {each.stream: each for each in by_rate(top_streams(registry.client).values(), sort.rate)}
            named = {overview.stream: overview for overview in overviews(registry, rates)}
            found = [named[stream] for stream in rates]
    if as_json:
        for overview in found:
            extra = to_builtins(rates[overview.stream]) if overview.stream in rates else {}
            print(json.encode(to_builtins(overview) | extra).decode())
        return
    _print_table(found, rates)
    for overview in found:
        if overview.unreadable:
            say(f"{overview.stream}: {overview.unreadable}; `narrows streams set` or `remove` mends it", sys.stderr)


@streams.command("set")
def set_stream(
    stream: Stream,
    *,
    policy: Annotated[Policy | None, typer.Option(help="realtime: fresh frames first; complete: every frame.")] = None,
    weight: Annotated[float | None, typer.Option(help="Share under overload, relative to the others.")] = None,
    group: Annotated[str | None, typer.Option(help="Label that dashboards sum by.")] = None,
    bundle: Annotated[str | None, typer.Option(help='Bundle id that packets must name; "any" lifts it.')] = None,
    stale_ms: Annotated[int | None, typer.Option(help="A realtime frame older than this is skipped.")] = None,
    refuse_future_clock: Annotated[
        bool | None, typer.Option(help="Refuse frames captured ahead of the server's clock.", show_default=False)
    ] = None,
    masks: Annotated[
        MaskPacking | None, typer.Option(help="How masks are kept: fast to pack, or small: a quarter of the memory.")
    ] = None,
    by: By = None,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Register a stream, or change some of its settings; the others stay. An audit event is kept.

    Example: narrows streams set gate-3 --policy complete --group gates

    Example: narrows streams set gate-3 --weight 4 --stale-ms 300

    Example: narrows streams set gate-3 --masks small
    """
    given: dict[str, object] = {"policy": policy, "weight": weight, "group": group, "stale_ms": stale_ms}
    given["refuse_future_clock"] = refuse_future_clock
    changes = {name: value for name, value in given.items() if value is not None}
    if masks is not None:
        changes["masks"] = UNSET if masks is MaskPacking.FAST else masks
    if bundle is not None:
        changes["bundle"] = None if bundle == "any" else bundle
    with open_registry(redis_url) as registry:
        current = registry.get_if_readable(stream) or StreamSettings()
        stored = registry.set(stream, replace(current, **changes), who=caller(by))
    say(f"{stream}: {_in_words(stored)}")


@streams.command("remove")
def remove_stream(stream: Stream, *, by: By = None, redis_url: RedisUrl = DEFAULT_REDIS_URL) -> None:
    """Forget a stream's settings: it has the defaults again. Its frames are not touched.

    Example: narrows streams remove gate-3
    """
    with open_registry(redis_url) as registry:
        removed = registry.remove(stream, who=caller(by))
    print(f"{stream}: removed" if removed else f"{stream}: was not registered")


@streams.command("canary")
def canary_streams(
    *,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the streams, 0.1 for a tenth.")] = 0.1,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Name the streams whose cameras get a new bundle first, one a line; the same ones each time.

    A larger share has all of a smaller one. It changes nothing: start those cameras anew with the new bundle, which the
    cloud serves beside the old one (docs/operations.md).

    Example: narrows streams canary --share 0.1
    """
    from narrows.client.registry import canaries, overviews

    with open_registry(redis_url) as registry:
        for stream in canaries((overview.stream for overview in overviews(registry)), share):
            print(stream)


@streams.command("packet-format")
def packet_format(
    packet_format: Annotated[
        int | None, typer.Argument(min=1, max=2, help="The newest that cameras may send.", show_default="show it")
    ] = None,
    *,
    by: By = None,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Show or set the newest packet format that cameras may send; those with --packet-format auto follow within 30 s.

    2 has short headers. It is set only where every living dispatcher says that it reads it. Before a dispatcher of an
    older release joins, set 1 and wait half a minute, and until spools are empty.

    Example: narrows streams packet-format

    Example: narrows streams packet-format 2
    """
    from narrows.client.registry.packet_format import let_cameras_send, newest_read

    with open_registry(redis_url) as registry:
        install = registry.install
        if packet_format is not None:
            install = let_cameras_send(registry.client, packet_format, who=caller(by))
        for name, newest in sorted(newest_read(registry.client).items()):
            print(f"{name}: reads up to packet format {newest}")
    print(f"cameras may send packet format {install.newest_packet_format}")


@streams.command("backup")
def backup_streams(
    file: Annotated[Path, typer.Argument(help="Where to write it; - is standard output.")],
    *,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Write settings, ledgers and ended frames of all streams into a file, while frames go on.

    Frames and masks pass through Redis and are not in it. The file appears when it is complete.

    Example: narrows streams backup ledger-2026-12-01.jsonl
    """
    from narrows.client.registry.backup import write_backup

    with open_registry(redis_url) as registry:
        lines = list(write_backup(registry))
    text = "".join(f"{line}\n" for line in lines)
    if str(file) == "-":
        sys.stdout.write(text)
        return
    write_file(file, text)
    print(f"{file}: {counted(len(lines) - 1, 'stream')}")


@streams.command("restore")
def restore_streams(
    file: Annotated[Path, typer.Argument(help="What `narrows streams backup` wrote; - is standard input.")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also streams that have a ledger by now. No dispatcher may run.")
    ] = False,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Write a backup into an install, before its cameras begin: an empty Redis, or an install with other shards.

    An install that is not there yet is made with as many shards as it had. Nothing is changed where a stream has a
    ledger already.

    Example: narrows streams restore ledger-2026-12-01.jsonl
    """
    from contextlib import closing

    from narrows.client.registry.backup import read_backup, restore
    from narrows.runtime.redis import connect, named_errors

    if str(file) != "-" and not file.is_file():
        raise typer.BadParameter(f"there is no file {file}")
    with sys.stdin.buffer if str(file) == "-" else file.open("rb") as lines:
        install, found = read_backup(lines)
    with closing(connect(redis_url)) as client, named_errors(redis_url):
        here = restore(client, install, found, replace=replace)
    print(f"{counted(len(found), 'stream')} restored; the install has {counted(here.shards, 'shard')}")


def open_registry(redis_url: str) -> AbstractContextManager[StreamRegistry]:
    """The registry of the install that lies there; errors of Redis are named."""
    from contextlib import closing, contextmanager

    from narrows.client.registry import StreamRegistry
    from narrows.runtime.redis import connect, named_errors, read_install

    @contextmanager
    def opened() -> Iterator[StreamRegistry]:
        with closing(connect(redis_url)) as client, named_errors(redis_url):
            yield StreamRegistry(client, read_install(client))

    return opened()


def _in_words(settings: StreamSettings) -> str:
    bundle = settings.bundle or "any"
    return (
        f"policy {settings.policy}, weight {settings.weight:g}, group {settings.group}, bundle {bundle}, "
        f"stale after {settings.stale_ms} ms, masks {settings.mask_packing}"
        + (f", design {settings.pinned}" if settings.pinned else "")
    )


def _print_table(found: list[StreamOverview], rates: Mapping[str, StreamRates]) -> None:
    from rich.table import Table

    from narrows.cli.tables import fill, show

    table = Table(title=counted(len(found), "stream"), caption="* not registered: the defaults apply")
    headings = [
        "stream",
        "policy",
        "weight",
        "group",
        "bundle",
        "stale ms",
        "masks",
        "sends",
        "backlog",
        "frames ended",
        "last seen",
        "last mask",
        "state",
    ]
    if rates:
        headings[1:1] = _RATES
    for heading in headings:
        right = heading in {"weight", "stale ms", "backlog", *_RATES}
        table.add_column(heading, justify="right" if right else "left")
    show(fill(table, (_row(overview, rates.get(overview.stream)) for overview in found)), _PIPED_WIDTH)


def _row(overview: StreamOverview, rates: StreamRates | None) -> tuple[str, ...]:
    settings = overview.settings
    return (
        overview.stream + ("" if overview.registered else " *"),
        *_shown(rates),
        settings.policy.value,
        f"{settings.weight:g}",
        settings.group,
        settings.bundle or "any",
        str(settings.stale_ms),
        settings.mask_packing.value,
        _sends(overview),
        str(overview.backlog),
        ", ".join(f"{name} {count}" for name, count in sorted(overview.ledger.items())) or "-",
        _ago(overview.seen_ms),
        _ago(overview.mask_ms),
        overview.state.replace("_", " "),
    )


def _shown(rates: StreamRates | None) -> tuple[str, ...]:
    if rates is None:
        return ()
    return tuple(f"{each:.1f}" for each in (rates.offered_per_s, rates.skipped_per_s, rates.clock_ahead_per_s))


def _sends(overview: StreamOverview) -> str:
    return (overview.sends or "-") + (" (masks asked for)" if overview.asked_for_masks else "")


def _ago(seen_ms: int) -> str:
    if seen_ms == 0:
        return "never"
    return f"{max(0.0, time.time() - seen_ms / 1000):.0f} s ago"
