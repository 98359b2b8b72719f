"""The live table: one row a stream."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from narrows.ops.demo.stream_play import StreamPlay

_HEADINGS = ("stream", "sent", "masks", "dropped", "fps", "kbit/s", "p50 ms", "p95 ms", "mIoU")


def draw_table(plays: Sequence[StreamPlay], caption: str, *, over_all: bool = False) -> Table:
    """The table of all streams as they stand; frames per second over the last seconds, or over all."""
    table = Table(title="Narrows: street scenes, segmented by a cloud that never sees a picture", caption=caption)
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading == "stream" else "right", no_wrap=True)
    for play in plays:
        table.add_row(*_cells(play, play.frames_per_s_over_all if over_all else play.frames_per_s))
    return table


def _cells(play: StreamPlay, frames_per_s: float) -> list[str]:
    account = play.account
    dropped = ", ".join(f"{reason} {count}" for reason, count in account.dropped_by_reason.items())
    return [
        play.stream,
        str(len(account.sent)),
        str(len(account.masks)),
        dropped or "0",
        f"{frames_per_s:.1f}",
        f"{play.kbit_per_s:.1f}",
        _whole(play.latency_ms(50)),
        _whole(play.latency_ms(95)),
        "-" if math.isnan(play.matrix.miou) else f"{100 * play.matrix.miou:.1f} %",
    ]


def _whole(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f}"
