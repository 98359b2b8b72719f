"""``narrows scale``: what the autoscaler does, and telling it otherwise."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.group import command_group
from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl
from narrows.runtime.surroundings import caller
from narrows.runtime.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from narrows.client.registry import ScaleRegistry
    from narrows.contract.wire.scale_order import ScaleOrder

scale = command_group("What the autoscaler does, and telling it otherwise.")
By = Annotated[str | None, typer.Option("--by", help="Who orders, for the audit.", show_default="USER@HOST")]


@scale.command()
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    decisions: Annotated[int, typer.Option(min=0, max=1000, help="How many of the last decisions to show.")] = 8,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Show servers, instances, load, capacity, streams, who leads, and the last decisions with their reasons.

    Example: narrows scale status

    Example: narrows scale status --json | jq .status.streams_left
    """
    from narrows.cli.scale_table import as_record, print_tables
    from orchestrator.scaling.standing import read_standing

    with _registry(redis_url) as registry:
        standing = read_standing(registry.client, decisions=decisions)
    if as_json:
        print(json.dumps(as_record(standing)))
        return
    print_tables(standing)


@scale.command("set")
def set_servers(
    number: Annotated[str, typer.Argument(metavar="N", help="How many servers; auto gives it back to the policy.")],
    *,
    by: By = None,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Have N servers, whatever the load, within the minimum, the maximum and the slots. An audit event is kept.

    Example: narrows scale set 3

    Example: narrows scale set auto
    """
    from narrows.contract.wire.scale_order import parse_target

    servers = parse_target(number)
    with _registry(redis_url) as registry:
        order = registry.set_servers(servers, who=caller(by))
        _print_order(registry, order)


@scale.command()
def freeze(*, by: By = None, redis_url: RedisUrl = DEFAULT_REDIS_URL) -> None:
    """Forbid the autoscaler any change, until `narrows scale unfreeze`. An audit event is kept.

    Example: narrows scale freeze
    """
    with _registry(redis_url) as registry:
        _print_order(registry, registry.freeze(frozen=True, who=caller(by)))


@scale.command()
def unfreeze(*, by: By = None, redis_url: RedisUrl = DEFAULT_REDIS_URL) -> None:
    """Let the autoscaler work again. An audit event is kept.

    Example: narrows scale unfreeze
    """
    with _registry(redis_url) as registry:
        _print_order(registry, registry.freeze(frozen=False, who=caller(by)))


def _registry(redis_url: str) -> AbstractContextManager[ScaleRegistry]:
    from contextlib import closing, contextmanager

    from narrows.client.registry import ScaleRegistry
    from narrows.runtime.redis import connect, named_errors

    @contextmanager
    def opened() -> Iterator[ScaleRegistry]:
        with closing(connect(redis_url)) as client, named_errors(redis_url):
            yield ScaleRegistry(client)

    return opened()


def _print_order(registry: ScaleRegistry, order: ScaleOrder) -> None:
    """What stands now; and where nobody is there to follow it, that."""
    from narrows.contract.wire.keys import ScaleKeys

    servers = "as many servers as the policy wants" if order.servers is None else counted(order.servers, "server")
    print(f"ordered: {servers}{', frozen: nothing is changed' if order.frozen else ''}")
    if not registry.client.exists(ScaleKeys.STATUS):
        print("no autoscaler leads now: the order waits until `narrows autoscale` runs", file=sys.stderr)
