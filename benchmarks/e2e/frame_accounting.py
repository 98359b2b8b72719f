"""Cameras' journals beside the ledger in Redis, and masks beside labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.e2e.stack import ROOT, Stack
from narrows.client.registry import StreamOverview, StreamRegistry, overviews
from narrows.client.subscription import subscribe
from narrows.contract.wire import MaskPacket
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.confusion import ConfusionMatrix
from narrows.runtime.redis import connect, read_install

UNSEALED = "refused:seal_missing"
"""Counted apart from `refused`: what an open packet says of its place is not believed."""
_CAT = ("run", "--rm", "--no-deps", "--no-TTY", "--entrypoint", "cat", "cameras")


@dataclass(frozen=True)
class Line:
    """One stream's accounts.

    Attributes:
        sent: frames whose arrival Redis confirmed, by the camera's journal.
        dropped: frames that the camera gave up, by its journal.
        ended: masks, skips, refusals.
        lost: frames that the ledger calls lost.
        waiting: entries without an end.
    """

    stream: str
    sent: int
    dropped: int
    ended: int
    lost: int
    waiting: int

    @property
    def sound(self) -> bool:
        """Whether all that was sent ended, and nothing is lost that its camera did not give up.

        A camera that was killed takes the journal's last lines with it, so a few more may have ended than it wrote.
        """
        return self.waiting == 0 and self.ended >= self.sent and self.lost <= self.dropped


def ledgers(stack: Stack) -> list[StreamOverview]:
    """How each stream stands in Redis."""
    with closing(connect(stack.redis_url("operator"))) as client:
        return overviews(StreamRegistry(client, read_install(client)))


def journal(stack: Stack, stream: str) -> list[dict[str, Any]]:
    """What a camera wrote of its frames, over all its starts."""
    text = stack.compose(*_CAT, f"/state/{stream}/journal.jsonl")
    return [entry for entry in _entries(text) if "sequence" in entry]


def balance(stack: Stack, journals: dict[str, list[dict[str, Any]]]) -> list[Line]:
    """Each stream's line."""
    lines = []
    for overview in ledgers(stack):
        fates = Counter("sent" if each["sent"] else "dropped" for each in journals[overview.stream])
        ended = sum(overview.ledger.get(kind, 0) for kind in ("mask", "skipped", "refused", UNSEALED))
        lost = overview.ledger.get("lost", 0)
        lines.append(Line(overview.stream, fates["sent"], fates["dropped"], ended, lost, overview.backlog))
    return lines


def mask_score(stack: Stack, stream: str, masks: int) -> tuple[float, set[str]]:
    """Mean IoU of a stream's masks to come, and the bundles that made them."""
    data = FolderDataset.open(ROOT / "samples", "val")
    packets = []
    with subscribe(stream, redis_url=stack.redis_url("viewer"), timeout_s=60) as subscription:
        for outcome in subscription:
            if isinstance(outcome, MaskPacket):
                packets.append(outcome)
            if len(packets) == masks:
                break
    names = {(each["epoch"], each["sequence"]): Path(each["name"]).stem for each in journal(stack, stream)}
    matrix = ConfusionMatrix(len(data.classes.names), data.classes.ignore_index)
    for packet in packets:
        name = names[packet.identity.epoch, packet.identity.sequence]
        matrix.update(data.read(name).labels, packet.labels)
    return matrix.miou, {f"{packet.bundle_id:016x}" for packet in packets}


def _entries(text: str) -> Iterator[dict[str, Any]]:
    """Lines of JSON; one that a kill cut in two is left out."""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
