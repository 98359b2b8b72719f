"""The figures of ``benchmarks/results/autoscale.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Row, table


def render(result: dict[str, Any]) -> str:
    """Each trace with our one default, beside each rival's default and its best for that trace."""

    def cells(row: dict[str, Any]) -> Row:
        return [f"{row['violating_stream_seconds']:,.0f}", f"{row['replica_hours']:.1f}", f"{row['decisions']:,}"]

    rows: list[Row] = []
    for name, found in result["traces"].items():
        ours = found["narrows"]
        rows.append([f"**{name}**", "**narrows**", *cells(ours), f"{ours['worst_backlog_age_s']:.0f}", ""])
        for rival, row in found["rivals"].items():
            saved = "not reached" if row["saved"] is None else f"{row['saved']:+.1%}"
            for which, last in (("default", ""), ("tuned", saved)):
                age = f"{row[which]['worst_backlog_age_s']:.0f}"
                rows.append(["", f"{rival}, {which}", *cells(row[which]), age, last])
    claim = result["replica_hours_saved_at_equal_violations"]
    shares = [[rival, f"{share:+.1%}"] for rival, share in claim["by_rival"].items()]
    alike = result["one_setting_for_all_traces"]
    total = [
        [name, f"{row['violating_stream_seconds']:,.0f}", f"{row['replica_hours']:.1f}", f"{row['decisions']:,}"]
        for name, row in {"**narrows**": alike["narrows"], **alike["rivals"]}.items()
    ]
    head = ["trace", "policy", "violating stream-s", "replica-hours", "decisions", "worst backlog, s", "hours saved"]
    text = (
        f"On the Pareto front (no rival has both fewer violations and fewer replica-hours): "
        f"against every setting of every rival on {_holding(result['pareto_front'])}; "
        f"against one setting of each rival for all traces on {_holding(alike['pareto_front'])}. "
        f"The mean is of {claim['pairs']} pairs of trace and rival; "
        f"not reached by any setting of the rival: {', '.join(claim['not_reached']) or 'none'}."
    )
    return "\n\n".join(
        [
            table(head, rows),
            table(
                ["rival", "replica-hours saved at equal violations, mean"], [*shares, ["all", f"{claim['mean']:+.1%}"]]
            ),
            table(["one setting for all traces", "violating stream-s", "replica-hours", "decisions"], total),
            text,
        ]
    )


def _holding(by_trace: dict[str, bool]) -> str:
    names = [name for name, holds in by_trace.items() if holds]
    return f"{len(names)} of {len(by_trace)} traces ({', '.join(names)})"
