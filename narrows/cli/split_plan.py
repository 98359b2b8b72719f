"""``narrows split pin``, ``unpin`` and ``explain``: which design of a split network a camera uses, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl
from narrows.cli.saying import say
from narrows.runtime.surroundings import caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrows.client.registry.plans import PlanSeen
    from narrows.contract.schedule import Explanation
    from narrows.contract.schedule.explanation import Change, Numbers

Stream = Annotated[str, typer.Argument(help="Stream id, for example gate-3.")]
By = Annotated[str | None, typer.Option("--by", help="Who asks, for the audit.", show_default="USER@HOST")]
_OLD_S = 45.0
"""A camera that plans says so every ten seconds."""


def pin(
    stream: Stream,
    design: Annotated[list[str], typer.Argument(help="Its name, as `narrows split explain` lists it: cut 1, level 0.")],
    *,
    by: By = None,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Hold a camera to a design of its split network, whatever it measures; an audit event is kept.

    The camera follows within two seconds, with its next frame. It goes on by itself while no dispatcher tells it
    anything for half a minute.

    Example: narrows split pin gate-3 cut 1, level 0
    """
    from narrows.cli.streams import open_registry
    from narrows.client.registry import plans

    name = " ".join(design)
    with open_registry(redis_url) as registry:
        seen = plans.pin(registry, stream, name, who=caller(by))
    print(f"{stream}: pinned to {name}")
    if seen.explanation is None:
        print(f"{stream} has not said which designs it has: `narrows split explain {stream}` says whether it follows")


def unpin(stream: Stream, *, by: By = None, redis_url: RedisUrl = DEFAULT_REDIS_URL) -> None:
    """Let a camera choose again by what it measures; an audit event is kept.

    Example: narrows split unpin gate-3
    """
    from narrows.cli.streams import open_registry
    from narrows.client.registry import plans

    with open_registry(redis_url) as registry:
        before = plans.unpin(registry, stream, who=caller(by))
    print(f"{stream}: was not pinned" if before is None else f"{stream}: no longer pinned to {before}")


def explain(
    stream: Stream,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The camera's record as it is.")] = False,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Say which design a camera uses now and why, what it measured, and what would change its choice.

    Example: narrows split explain gate-3

    Example: narrows split explain gate-3 --json | jq .goodput_bytes_per_s
    """
    from narrows.cli.streams import open_registry
    from narrows.client.registry import plans

    with open_registry(redis_url) as registry:
        seen = plans.look_at_plan(registry, stream)
    if seen.explanation is None:
        print(f"{stream} has said nothing of a plan: it plans where its bundle is a split network's of several designs")
        print(f"and --level is not given. It is {_held(seen)}.")
        raise typer.Exit(1)
    if as_json:
        print(seen.explanation.to_json().decode())
        return
    for line in lines(stream, seen, seen.explanation):
        say(line)


def lines(stream: str, seen: PlanSeen, said: Explanation) -> Iterator[str]:
    """An explanation for people."""
    for_s = said.for_s + seen.age_s
    yield f"{stream} uses {said.chosen.design}, for {for_s:.0f} s: {said.reason} (objective: {said.objective})"
    yield f"  expected   {_numbers(said.chosen)}"
    yield f"  measured   {', '.join(_measured(said))}"
    if said.next_best is not None:
        yield f"  next best  {said.next_best.design}: {_numbers(said.next_best)}"
    if said.measure:
        yield f"  agreement  {said.measure}"
    if said.broken:
        yield f"  broken     {', '.join(said.broken)}: no design keeps it, or since a moment only"
    for change in said.changes:
        yield f"  another    {change.design}, with {_change(change)}"
    yield f"  designs    {'; '.join(said.designs)}"
    yield f"  operator   {_held(seen)}"
    if not seen.follows:
        yield "             which it does not use: it has no such design, or no dispatcher has told it yet"
    late = ": it sleeps, has no link, or was stopped" if seen.age_s > _OLD_S else ""
    yield f"  said       {seen.age_s:.0f} s ago{late}"


def _held(seen: PlanSeen) -> str:
    return "not pinned" if seen.pinned is None else f"pinned to {seen.pinned}"


def _numbers(of: Numbers) -> str:
    latency = "without end" if of.latency_s is None else f"{of.latency_s * 1e3:.0f} ms"
    rate = "any" if of.frames_per_s is None else f"{of.frames_per_s:.1f}"
    return (
        f"latency {latency}, {rate} frames/s, {of.link_bytes:,.0f} bytes, device {of.device_energy_j:.3g} J, "
        f"server {of.server_s * 1e3:.1f} ms, agreement {of.accuracy:.4f}"
    )


def _measured(said: Explanation) -> Iterator[str]:
    goodput = said.goodput_bytes_per_s
    yield "link not measured yet" if goodput is None else f"link {goodput:,.0f} bytes/s"
    yield f"round trip {said.round_trip_s * 1e3:.0f} ms"
    yield f"device load {said.device_load:.0%}"
    if said.temperature_c is not None:
        yield f"{said.temperature_c:.0f} degrees C"
    yield f"cloud load {said.cloud_load:.0%}"
    yield f"packets {said.size_ratio:.2f} x the table's"
    factor = said.device_factor
    if factor is None:
        yield "device not measured yet"
        return
    yield f"heads take {factor:.2f} x as long as by the table, a frame takes {said.overhead_s * 1e3:.0f} ms beside them"


def _change(change: Change) -> str:
    if change.what == "goodput_bytes_per_s":
        return f"the link {change.side} {change.value:,.0f} bytes/s"
    return f"{change.what.replace('_', ' ')} {change.side} {change.value:.0%}"
