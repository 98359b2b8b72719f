"""What a camera's program can tell of itself at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from edge_client.masks.rule import Verdict
from edge_client.masks.stage import MaskStage
from edge_client.planning.stage import PlanningStage
from edge_client.prompts.stage import PromptStage
from edge_client.rate.governor import Governor
from edge_client.stats import EdgeStats, Tally
from edge_client.transport.sender import Sender
from edge_client.transport.server_clock import Estimate
from narrows.contract.records.prompts import PromptAnswer


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is shown, at one moment.

    Attributes:
        trouble: why Redis does not take packets; ``None`` while it does.
        clock: this machine's clock less the server's; ``None``: not known.
        spool_frames, spool_bytes: what lies on disk.
        goodput_bytes_per_s, round_trip_s: the link, as it was seen last.
        verdict: what is sent, and why; ``None`` where no masks are made.
        prompts: what became of each.
        design, design_reason: of a split network, what is used and why; empty where nothing is planned.
        design_changes: how often another took over, by reason.
    """

    stats: EdgeStats
    trouble: str | None = None
    clock: Estimate | None = None
    spool_frames: int = 0
    spool_bytes: int = 0
    goodput_bytes_per_s: float = 0.0
    round_trip_s: float = 0.0
    verdict: Verdict | None = None
    prompts: tuple[PromptAnswer, ...] = ()
    design: str = ""
    design_reason: str = ""
    design_changes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tally: Tally,
        sender: Sender,
        governor: Governor,
        masks: MaskStage | None = None,
        prompts: PromptStage | None = None,
        planning: PlanningStage | None = None,
    ) -> Self:
        """What the parts of a running program say now."""
        frames, size_bytes = sender.outbox.on_disk
        questions = sender.questions
        link = governor.reading
        plan = None if planning is None else planning.explanation
        return cls(
            stats=tally.snapshot(),
            trouble=sender.trouble,
            clock=None if questions is None else questions.clock.local_offset(),
            spool_frames=frames,
            spool_bytes=size_bytes,
            goodput_bytes_per_s=link.goodput_bytes_per_s,
            round_trip_s=link.base_s,
            verdict=None if masks is None else masks.verdict,
            prompts=() if prompts is None else prompts.answers().prompts,
            design="" if plan is None else plan.chosen.design,
            design_reason="" if plan is None else plan.reason,
            design_changes={} if planning is None else planning.changes,
        )
