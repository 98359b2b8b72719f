"""The stage where a running camera plans: before each frame it says at which cut and level the frame is coded.

::

    link, what waits, load, heat ─► conditions ─► planner ─► design ─┬─► head of its cut ─► level, for the governor
    control record: pin, cuts, cloud's load ──┘      ▲               └─► what changed: journal, log; explanation: Redis
                                                     └── what each head took, and the size of its packet

A frame is a K whatever its design, so a change costs none: the frame that was due is coded at the new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from msgspec.structs import replace as with_fields

from edge_client.clock import unix_ms
from edge_client.encode.open import Encoder
from edge_client.encode.packet_sizes import FRAMING_BYTES
from edge_client.encode.split import SplitHead
from edge_client.planning.design_change import DesignChange
from edge_client.planning.device import Device
from edge_client.planning.settings import PlanSettings, least_accuracy
from edge_client.planning.usable import UsableDesigns
from edge_client.rate.governor import LinkReading
from edge_client.rate.heat import Thermometer
from edge_client.settings import EdgeSettings
from narrows.contract.bundle import AnyBundle, SplitBundle
from narrows.contract.bundle.split_table import plan_table
from narrows.contract.errors import DesignUnknown, EncoderError
from narrows.contract.schedule import (
    Conditions,
    Constraints,
    Decision,
    Design,
    Explanation,
    Objective,
    Planner,
    PlanTable,
    explain,
)
from narrows.contract.wire import Control, FrameIdentity

_LOG = structlog.get_logger("edge.planning")
EXPLAIN_PERIOD_S = 10.0
"""An explanation that nothing changed is made anew so often: it takes tens of milliseconds."""
_SIZE_GAIN = 0.1
MakePlanner = Callable[[PlanTable, Objective, Constraints], Planner]
"""The product's is :class:`Planner`; benchmarks have others chosen in its place."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What the next frame is coded at."""

    cut: int
    level: int


class PlanningStage:
    """One camera's planning. The thread that encodes plans; any may read ``explanation`` and ``changes``.

    Attributes:
        explanation: of the newest plan; ``None`` before the first.
        changes: how often another design took over, by reason.
    """

    def __init__(
        self,
        bundle: SplitBundle,
        head: SplitHead,
        settings: PlanSettings,
        monotonic_s: Callable[[], float],
        tell: Callable[[DesignChange], None] = lambda _: None,
        device: Device | None = None,
        celsius: Callable[[], float | None] | None = None,
        make_planner: MakePlanner = Planner,
    ) -> None:
        """``tell`` hears of each change of design.

        Raises:
            EncoderError: the folder has no head, or none that can be used.
        """
        self._head, self._monotonic_s, self._tell = head, monotonic_s, tell
        self._device = device or Device(monotonic_s)
        self._celsius = celsius or Thermometer(monotonic_s).read_c
        self._all = _on_link(plan_table(bundle.manifest))
        heads = [cut for cut in range(len(bundle.manifest.cuts)) if bundle.head_path(cut).is_file()]
        if not heads:
            raise EncoderError(f"{bundle.folder} has no head: copy head0.onnx and its like to this machine")
        self._usable = UsableDesigns(self._all, heads)
        self._levels = len(bundle.manifest.levels)
        constraints = _with_accuracy(settings.constraints, self._all)
        self._planner = make_planner(self._all, settings.objective, constraints)
        self._pinned: str | None = None
        self._decision: Decision | None = None
        self._size_ratio: float | None = None
        self._explain_due_s = 0.0
        self.explanation: Explanation | None = None
        self.changes: dict[str, int] = {}
        self._load_heads()
        self._restrict()

    @property
    def design(self) -> Design | None:
        """What is in use; ``None`` before the first plan."""
        return None if self._decision is None else self._decision.chosen.design

    def plan(
        self, link: LinkReading, first_in_line: tuple[int, float], control: Control | None, upcoming: FrameIdentity
    ) -> Planned:
        """What the next frame is coded at.

        Args:
            link: as it was seen last.
            first_in_line: bytes of the oldest packet that is not acknowledged, and seconds since it is the oldest.
            control: the newest control record.
            upcoming: the frame's identity, for the journal.
        """
        self._device.plans()
        self._heed(control)
        self._restrict()
        now_s = self._monotonic_s()
        decision = self._planner.plan(self._seen(link, first_in_line, control), now_s)
        design = decision.chosen.design
        cut = design.cut or 0
        self._head.use(cut)
        before, self._decision = self._decision, decision
        if before is None or design != before.chosen.design:
            self._changed(decision, before, upcoming)
        news = before is None or (design, decision.reason) != (before.chosen.design, before.reason)
        if news or now_s >= self._explain_due_s:
            self.explanation = explain(self._planner, decision, now_s, unix_ms())
            self._explain_due_s = now_s + EXPLAIN_PERIOD_S
        return Planned(cut, self._all.designs.index(design) % self._levels)

    def begins(self) -> None:
        """A frame was taken: its head runs next."""
        self._device.begins()

    def coded(self, level: int, device_s: float, size_bytes: int, beside_s: float = 0.0) -> None:
        """A frame was coded at the planned cut, head and coder, in so long, into a packet of so many bytes.

        ``beside_s``: what it took beside that, for prompts: the next one takes it too, whatever its design.
        """
        design = self._all.designs[self._head.cut * self._levels + level]
        self._device.coded(beside_s)
        self._planner.took(design.name, device_s, self._device.waited, self._monotonic_s())
        ratio = (size_bytes + FRAMING_BYTES) / design.link_bytes
        before = ratio if self._size_ratio is None else self._size_ratio
        self._size_ratio = before + _SIZE_GAIN * (ratio - before)

    def too_large(self) -> None:
        """A frame at the planned cut had no room in a packet at any level: others have the next ones, if there are."""
        cut = self._head.cut
        _LOG.warning("cut_too_large", cut=cut, remedy="export another cut, or coarser levels of it")
        self._usable.crowd(cut, self._monotonic_s())

    def _seen(self, link: LinkReading, first_in_line: tuple[int, float], control: Control | None) -> Conditions:
        size_bytes, waited_s = first_in_line
        speed = link.speed.while_waiting(size_bytes, max(0.0, waited_s - link.base_s))
        return Conditions(
            goodput_bytes_per_s=speed.bytes_per_s,
            round_trip_s=link.base_s,
            device_load=self._device.load,
            overhead_s=self._device.overhead_s,
            temperature_c=self._celsius(),
            cloud_load=0.0 if control is None or control.cloud_load is None else control.cloud_load,
            size_ratio=1.0 if self._size_ratio is None else self._size_ratio,
            shape=speed.shape,
            tried_bytes=speed.tried_bytes,
        )

    def _heed(self, control: Control | None) -> None:
        """Take up what the cloud serves, and what an operator pinned.

        Without a record the camera decides alone, among the cuts that were served when there was one.
        """
        if control is not None:
            self._usable.serve(control.cuts)
        pinned = None if control is None else control.design
        if pinned != self._pinned:
            self._pinned = pinned
            self._pin()

    def _pin(self) -> None:
        try:
            self._planner.pin(self._pinned)
        except DesignUnknown as error:
            self._planner.pin(None)
            _LOG.warning("pin_ignored", design=self._pinned, cause=str(error))

    def _load_heads(self) -> None:
        """All of them before the first frame: on a tenth of a core a head takes a second and a half to load."""
        for cut in sorted(self._usable.heads):
            try:
                self._head.load(cut)
            except EncoderError as error:
                _LOG.error("head_unusable", cut=cut, cause=str(error))
                self._usable.lose_head(cut)
                if not self._usable.heads:
                    raise

    def _restrict(self) -> None:
        """Choose among the designs that can be used now, and hold on to the pinned one if that is among them."""
        table = self._usable.changed(self._monotonic_s())
        if table is not None:
            self._planner.choose_among(table)
            self._pin()

    def _changed(self, decision: Decision, before: Decision | None, upcoming: FrameIdentity) -> None:
        reason = decision.reason.value
        if before is not None:
            self.changes = {**self.changes, reason: self.changes.get(reason, 0) + 1}
        change = DesignChange.of(decision, None if before is None else before.chosen.design, upcoming)
        _LOG.info("design_chosen", design=change.design, before=change.before, reason=reason)
        self._tell(change)


def open_planning(
    bundle: AnyBundle,
    encoder: Encoder,
    settings: EdgeSettings,
    tell: Callable[[DesignChange], None],
    make_planner: MakePlanner = Planner,
) -> PlanningStage | None:
    """The stage of a split network of several designs; ``None``: there is one, or the level is the operator's.

    Raises:
        EncoderError: the folder has no head.
    """
    if not (isinstance(bundle, SplitBundle) and isinstance(encoder, SplitHead)) or settings.level is not None:
        return None
    return PlanningStage(bundle, encoder, settings.plan, time.monotonic, tell, make_planner=make_planner)


def _on_link(table: PlanTable) -> PlanTable:
    """With what the link adds to each packet."""
    designs = (with_fields(each, link_bytes=each.link_bytes + FRAMING_BYTES) for each in table.designs)
    return with_fields(table, designs=tuple(designs))


def _with_accuracy(constraints: Constraints, table: PlanTable) -> Constraints:
    if constraints.least_accuracy is not None:
        return constraints
    return replace(constraints, least_accuracy=least_accuracy(table))
