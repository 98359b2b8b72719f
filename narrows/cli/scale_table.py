"""How scaling stands, as tables for people and as one record for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import to_builtins
from rich.table import Table

from narrows.cli.tables import fill, show

if TYPE_CHECKING:
    from orchestrator.scaling.journal import JournalEntry
    from orchestrator.scaling.standing import ScaleOverview
    from orchestrator.scaling.status import ServerLine, Status

_PIPED_WIDTH = 160


def as_record(standing: ScaleOverview) -> dict[str, Any]:
    """For ``--json``: ``status`` is ``null`` where no autoscaler leads."""
    return {
        "now_ms": standing.now_ms,
        "status": to_builtins(standing.status),
        "order": to_builtins(standing.order),
        "decisions": to_builtins(standing.decisions),
    }


def print_tables(standing: ScaleOverview) -> None:
    """The state, the servers, the last decisions."""
    if standing.status is None:
        print("No autoscaler leads: start `narrows autoscale` with this Redis. Nothing is scaled meanwhile.")
    else:
        show(_state(standing, standing.status), _PIPED_WIDTH)
        if standing.status.servers:
            show(_servers(standing.status.servers), _PIPED_WIDTH)
    if standing.decisions:
        show(_decisions(standing), _PIPED_WIDTH)


def _state(standing: ScaleOverview, status: Status) -> Table:
    table = Table(title=_title(standing, status), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return fill(table, _rows(standing, status))


def _title(standing: ScaleOverview, status: Status) -> str:
    marks = [
        ("FROZEN", status.frozen),
        (f"ORDERED {status.ordered}", status.ordered is not None),
        ("DRY RUN", status.dry_run),
        ("CAPACITY EXHAUSTED", status.capacity_exhausted),
    ]
    said = ", ".join(mark for mark, shown in marks if shown)
    age_s = (standing.now_ms - status.at_ms) / 1000
    return f"scaling by {status.engine}, {age_s:.0f} s ago{f'  -  {said}' if said else ''}"


def _rows(standing: ScaleOverview, status: Status) -> list[tuple[str, str]]:
    from orchestrator.scaling.signals import SIGNALS

    slots = "no limit known" if status.slots is None else f"{status.slots} slots"
    room = f"{status.min_servers} to {status.max_servers}, {slots}"
    coming = f"{status.ready} ready, {status.starting} starting, {status.draining} draining"
    rows = [
        ("servers", f"{status.wanted} wanted; {coming} ({room})"),
        ("instances in each", f"{status.instances}, {status.instances_wanted} wanted"),
        ("load", f"{_number(status.load, '.2f')} of a target of {status.target_load:.2f}"),
        ("offered", f"{_number(status.frames_per_s, '.1f')} frames/s"),
        ("still fit", _fit(status)),
        ("a server does", f"{_number(status.server_frames_per_s, '.1f')} frames/s"),
        ("a stream is", _stream(status)),
        *((each.heading, each.form.format(getattr(status, name))) for name, each in SIGNALS.items()),
        ("dispatchers", str(status.dispatchers)),
        ("leader", status.leader),
        ("why", f"{', '.join(status.reasons)}: {status.detail}"),
    ]
    order = standing.order
    if order.who:
        rows.append(("last order", f"by {order.who}, {_ago(standing.now_ms, order.at_ms)}"))
    if status.failure:
        rows.append(("not done", status.failure))
    return rows


def _fit(status: Status) -> str:
    most = _number(status.streams_left_at_most, "d")
    return f"{_number(status.streams_left, 'd')} more streams now, {most} with all servers that there may be"


def _stream(status: Status) -> str:
    error = "" if status.load_a_stream_error is None else f" ± {status.load_a_stream_error:.4f}"
    return f"a load of {_number(status.load_a_stream, '.4f')}{error}"


def _servers(servers: tuple[ServerLine, ...]) -> Table:
    table = Table(title="servers")
    table.add_column("address")
    for heading in ("instances", "busy", "frames there", "pending", "queue ms", "batch ms", "GPU", "GPU memory"):
        table.add_column(heading, justify="right")
    return fill(table, map(_server, servers))


def _server(each: ServerLine) -> tuple[str, ...]:
    return (
        each.address,
        _number(each.instances, "d"),
        _number(each.busy_instances, ".2f"),
        str(each.outstanding),
        _number(each.pending, "d"),
        _number(None if each.queue_s is None else each.queue_s * 1000, ".1f"),
        _number(None if each.compute_s is None else each.compute_s * 1000, ".1f"),
        _number(each.gpu_ratio, ".0%"),
        _number(each.gpu_memory_ratio, ".0%"),
    )


def _decisions(standing: ScaleOverview) -> Table:
    table = Table(title="last decisions")
    for heading in ("when", "what", "servers", "instances", "why"):
        table.add_column(heading, justify="right" if heading in {"servers", "instances"} else "left", overflow="fold")
    return fill(table, (_decision(each, standing.now_ms) for each in standing.decisions))


def _decision(each: JournalEntry, now_ms: int) -> tuple[str, ...]:
    what = f"{each.action}{' (dry run)' if each.dry_run else ''}"
    why = f"{', '.join(each.reasons)}: {each.detail}"
    return _ago(now_ms, each.at_ms), what, str(each.servers), str(each.instances), why


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _ago(now_ms: int, at_ms: int) -> str:
    seconds = max(0.0, (now_ms - at_ms) / 1000)
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
