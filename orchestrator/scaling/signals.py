"""What a decision rests on, at one moment. Gathered by :mod:`.observe`, or made up by the simulator.

A signal that is one number is declared once: a field of :class:`ScalarSignals` with a :class:`Signal` beside its type.
Its gauge, its field in the status record, its row in ``narrows scale status``, its panel in Grafana and its row in
``docs/autoscaling.md`` are derived from that declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_type_hints

from msgspec import Struct

from narrows.contract.wire.record import Count, Ratio, Seconds


@dataclass(frozen=True, slots=True)
class Signal:
    """What is declared of one signal.

    Attributes:
        metric: the name of its gauge.
        help: what it is: the gauge's help, and its row in the documentation.
        heading, form: its row in ``narrows scale status``; ``form`` is for :meth:`str.format`.
        unit: Grafana's name of its unit.
        report: the field of a dispatcher's report that it is made of; ``None``: :mod:`.observe` makes it of several.
        combine: how the dispatchers' values become one.
    """

    metric: str
    help: str
    heading: str
    form: str
    unit: str
    report: str | None = None
    combine: Callable[[Iterable[Any]], Any] = sum


class ScalarSignals(Struct, frozen=True, kw_only=True):
    """The signals that are one number each; by default all is at peace."""

    streams: Annotated[
        Count,
        Signal(
            "narrows_scale_streams", "Streams that sent a frame in the last 10 s", "streams", "{}", "none", "streams"
        ),
    ] = 0
    backlog_frames: Annotated[
        Count,
        Signal("narrows_scale_backlog_frames", "Frames without an end, in all shards", "waiting", "{} frames", "none"),
    ] = 0
    backlog_age_s: Annotated[
        Seconds,
        Signal(
            "narrows_scale_backlog_age_seconds",
            "Age of the oldest frame without an end",
            "oldest waiting",
            "{:.1f} s",
            "s",
        ),
    ] = 0.0
    late_ratio: Annotated[
        Ratio,
        Signal(
            "narrows_scale_late_ratio",
            "Share of the realtime frames ended since the last look that missed the objective",
            "late",
            "{:.1%} of realtime frames",
            "percentunit",
        ),
    ] = 0.0
    dispatcher_saturation: Annotated[
        Ratio,
        Signal(
            "narrows_scale_dispatcher_saturation",
            "Busy share of the busiest dispatcher; near 1 decoders are not to blame",
            "busiest dispatcher",
            "{:.0%} busy",
            "percentunit",
            "saturation",
            lambda shares: max(shares, default=0.0),
        ),
    ] = 0.0


def _declared() -> Mapping[str, Signal]:
    hints = get_type_hints(ScalarSignals, include_extras=True)
    return {
        name: next(each for each in hints[name].__metadata__ if isinstance(each, Signal))
        for name in ScalarSignals.__struct_fields__
    }


SIGNALS: Mapping[str, Signal] = _declared()
"""What is declared of each, by its field's name."""


def table() -> str:
    """The rows of ``docs/autoscaling.md``."""
    return "".join(f"| `{each.metric}` | {each.help} |\n" for each in SIGNALS.values())


def scalars(signals: ScalarSignals) -> dict[str, Any]:
    """The numbers alone, by name: to be carried into another value that has these fields."""
    return {name: getattr(signals, name) for name in SIGNALS}


@dataclass(frozen=True, slots=True)
class FleetSignals:
    """The servers there are and the instances in each.

    Attributes:
        ready: servers that take work.
        starting: servers on their way up.
        draining: servers that finish what they have.
        instances: decoder instances in each server.
        slots: servers that this place can hold; ``None``: no limit is known.
    """

    ready: int
    starting: int = 0
    draining: int = 0
    instances: int = 1
    slots: int | None = None

    @property
    def coming(self) -> int:
        """Servers that take work now or soon."""
        return self.ready + self.starting


class Signals(ScalarSignals, frozen=True, kw_only=True):
    """The state of the system as the policy sees it.

    Attributes:
        frames_per_s: frames that want a decoder, each second, whatever becomes of them; NaN: nobody says.
        server_frames_per_s: frames that one server can do each second, by its instances, as far as that was learned;
            empty before the first batch. In the largest batches that the SLO allows.
        fleet: the servers.
    """

    frames_per_s: float
    server_frames_per_s: Mapping[int, float]
    fleet: FleetSignals


@dataclass(frozen=True, slots=True)
class Orders:
    """What the operator ordered: ``servers``, instead of what the policy wants; ``frozen``, change nothing."""

    servers: int | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Absolute targets, and why.

    Attributes:
        servers: servers that there should be.
        instances: decoder instances that each should have.
        reasons: names from :class:`~orchestrator.scaling.reason.Reason`, the deciding one first; stable, for they are
            counter labels.
        detail: one line for people, with the numbers.
    """

    servers: int
    instances: int
    reasons: tuple[str, ...] = field(default=())
    detail: str = ""
