"""The figures of ``benchmarks/results/uplink.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Row, load, table


def render(result: dict[str, Any]) -> str:
    """Each trace with our control, beside the best and the worst fixed level."""
    rows: list[Row] = []
    for trace in result["traces"]:
        fixed = {name: row for name, row in trace["settings"].items() if name != "ours"}
        by_miou = sorted(fixed, key=lambda name: fixed[name]["delivered_miou"])
        for name in ("ours", by_miou[-1], by_miou[0]):
            row, first = trace["settings"][name], name == "ours"
            cells = [f"{row['delivered']} of {row['offered']}", f"{row['delivered_miou']:.1%}"]
            cells += [f"{row['p95_age_s']:.2f}", f"{row['used_kbit_s']:.0f} of {trace['offered_kbit_s']:.0f}"]
            ratio = f"{trace['ratio_to_best_fixed']:.2f}" if first else ""
            rows.append([trace["name"] if first else "", f"**{name}**" if first else name, *cells, ratio])
    head = ["trace", "setting", "delivered", "delivered mIoU", "p95 age, s", "kbit/s used of", "of the best fixed"]
    text = f"{result['data']}, {result['frames_per_s']:g} frames/s; {load(result)}. Best and worst fixed level shown."
    return f"{table(head, rows)}\n\n{text}"
