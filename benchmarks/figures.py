"""Writes the figures in README and docs from ``results/*.json``, so that no number is typed by hand.

A document marks a place with ``<!-- figures:NAME -->`` and ``<!-- /figures -->``. ``--check`` fails where a
document and the results differ.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.e2e import figures as e2e_figures
from benchmarks.rate import figures as rate_figures
from benchmarks.record import RESULTS, read_result
from benchmarks.sizing.figures import VIEWS, View

ROOT = Path(__file__).parent.parent
_PLACE = re.compile(r"(<!-- figures:(\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
Row = list[str]


def accuracy(result: dict[str, Any]) -> str:
    """Rate and accuracy by level, int8 beside float at either end."""
    exact = {row["level"]: row for row in result["levels"] if row["encoder"] == "float"}
    rough = {row["level"]: row for row in result.get("int8_decoder", [])}
    rows = [
        [
            str(row["level"]),
            f"{row['packet_bytes']:,}",
            f"{row['bits_per_pixel']:.3f}",
            f"{row['miou']:.1%}",
            f"{exact[row['level']]['miou']:.1%}" if row["level"] in exact else "",
            f"{rough[row['level']]['miou']:.1%}" if row["level"] in rough else "",
        ]
        for row in result["levels"]
        if row["encoder"] == "int8"
    ]
    return _table(
        ["level", "packet, bytes", "bits per pixel", "mIoU", "mIoU, float encoder", "mIoU, int8 decoder"], rows
    )


def codec(result: dict[str, Any]) -> str:
    """Our coder beside the rivals."""
    rows = [[r["coder"], f"{r['bytes']:,.0f}", _ms(r["encode_ms"]), _ms(r["decode_ms"])] for r in result["rivals"]]
    return _table(["one frame through", "bytes", "encode, ms", "decode, ms"], rows)


def labels(result: dict[str, Any]) -> str:
    """Bits of label maps by size and coder, with the accuracy that each size keeps, and time at full size."""
    sizes = result["sizes"]
    bits = [[name, *(f"{row['bits_per_pixel'][name]:.4f}" for row in sizes)] for name in sizes[0]["bits_per_pixel"]]
    bits.append(["mIoU", *(f"{row['miou']:.1%}" for row in sizes)])
    times = [[r["coder"], f"{r['bytes']:,.0f}", _ms(r["encode_ms"]), _ms(r["decode_ms"])] for r in result["timed"]]
    ratio = result["time_over_symbol_coder"]
    return "\n\n".join(
        [
            _table(["bits per pixel of the full picture", *(row["size"] for row in sizes)], bits),
            _table(["at full size", "bytes", "encode, ms", "decode, ms"], times),
            f"`time_over_symbol_coder`: encode {ratio['encode']:.2f}, decode {ratio['decode']:.2f}.",
        ]
    )


def time(result: dict[str, Any]) -> str:
    """Keys and predictions beside keys alone, clip by clip."""
    rows = [
        [
            f"{r['clip']}, noise {r['noise']:g}" if r["noise"] else r["clip"],
            str(r["frames"]),
            f"{r['key_bytes']:,.0f}",
            f"{r['bytes']:,.0f}",
            f"{r['saved']:.1%}",
            f"{r['decode_ms'] / r['key_decode_ms']:.2f}",
        ]
        for r in result["clips"]
    ]
    return _table(["clip", "frames", "all K, bytes", "K and P, bytes", "saved", "CPU to decode, ratio"], rows)


def seal(result: dict[str, Any]) -> str:
    """A packet's way with and without a seal."""
    rows = [
        [r["coder"], f"{r['bytes']:,.0f}", f"{r['encode_ms']:.3f}", f"{r['decode_ms']:.3f}"] for r in result["sides"]
    ]
    return _table(["packets", "bytes", "latent to packet, CPU ms", "packet to symbols, CPU ms"], rows)


def headers(result: dict[str, Any]) -> str:
    """Packets of both formats, and the share of them that is no payload."""
    names = ("format_1", "format_2", "format_1_sealed", "format_2_sealed")
    rows = [
        [
            f"level {r['level']}",
            f"{r['payload_bytes']:,.0f}",
            *(f"{r[f'{name}_bytes']:,.0f} ({r[f'{name}_header_share']:.0%})" for name in names),
        ]
        for r in result["levels"]
    ]
    head = ["packets of", "payload, bytes", "format 1", "format 2", "format 1, sealed", "format 2, sealed"]
    return _table(head, rows) + (
        f"\n\nMean bytes, and the share that is no payload, of {result['frames']} frames of "
        f"{len(result['clips'])} clips; "
        f"a key frame every {result['key_period_s']:g} s, contexts are counted."
    )


def spool(result: dict[str, Any]) -> str:
    """The spool's segments and SQLite."""
    rows = [
        [
            title,
            f"{result[side]['bytes']:,}",
            f"{result[side]['us']:.0f}",
            f"{result[side]['lost']} / {result[side]['wrong']} ({result[side]['cuts']:,})",
            f"{result[side]['lines']}",
        ]
        for title, side in (("segments", "segments"), ("SQLite, WAL", "sqlite"))
    ]
    heads = [
        f"frames of {result['packet_bytes']} bytes in and out",
        "bytes written a frame",
        "µs a frame",
        "torn: whole frames lost / wrong (cuts)",
        "lines",
    ]
    return _table(heads, rows)


def inversion(result: dict[str, Any]) -> str:
    """What is guessed back from open packets."""
    mean = result["mean_picture"]
    rows = [
        [f"level {r['level']}", f"{r['packet_bytes']:,.0f}", f"{r['psnr_db']:.1f}", f"{r['ssim']:.2f}"]
        for r in result["levels"]
    ]
    rows.append(["nothing: the mean picture", "", f"{mean['psnr_db']:.1f}", f"{mean['ssim']:.2f}"])
    return (
        _table(["guessed from", "packet, bytes", "PSNR, dB", "SSIM"], rows)
        + f"\n\nA network of {result['parameters'] / 1e6:.1f} million parameters, trained for {result['steps']} steps "
        f"on {result['train_frames']} frames, judged on {result['val_frames']} others."
    )


def fuzz(result: dict[str, Any]) -> str:
    """Inputs of each target; nothing was found, or there would be no result."""
    rows = [[r["target"], f"{r['inputs']:,}", f"{r['edges']:,}", str(r["peak_rss_mb"])] for r in result["targets"]]
    rows.append(["all", f"{result['inputs']:,}", "", ""])
    return _table(["target", "inputs", "edges covered", "memory at most, MB"], rows)


def pipeline(result: dict[str, Any]) -> str:
    """The path beside a plain loop, where a frame's time goes, and growth with the streams."""
    free = result["near_free_model"]
    compared = [
        ["frames/s, straight at Triton", *(f"{r['straight_frames_per_s']:,.0f}" for r in (result, free))],
        ["frames/s, through the path", *(f"{r['path_frames_per_s']:,.0f}" for r in (result, free))],
        ["`throughput_ratio`", *(f"{r['throughput_ratio']:.2f}" for r in (result, free))],
        ["`cpu_ms_outside_triton` per frame", *(f"{r['cpu_ms_outside_triton']:.2f}" for r in (result, free))],
        ["frames/s per core outside Triton", *(f"{r['frames_per_s_per_core']:,.0f}" for r in (result, free))],
        ["CPU ms: event loop", *(f"{r['cpu_ms']['loop']:.2f}" for r in (result, free))],
        ["CPU ms: other threads", *(f"{r['cpu_ms']['threads']:.2f}" for r in (result, free))],
        ["CPU ms: Redis", *(f"{r['cpu_ms']['redis']:.2f}" for r in (result, free))],
        ["CPU ms: Triton", *(f"{r['cpu_ms']['triton']:.2f}" for r in (result, free))],
    ]
    late = [
        [
            name,
            *(f"{result[f'{side}_ms_{name}']:.1f}" for side in ("straight_latency", "path_latency", "added_latency")),
        ]
        for name in ("p50", "p99")
    ]
    parts = [
        _table(["saturated", "the bundle's decoder", "a near-free model"], compared),
        _table(["latency at 70 % load, ms", "straight", "path", "added"], late),
        _table(["stage at 70 % load", "mean ms"], _stages(result["stages_ms_at_load"])),
        _table(["each piece alone", "ms a frame"], [[k, f"{v:.3f}"] for k, v in result["floor_ms"].items()]),
        _growth(result["growth"]),
        f"Medians of {result['rounds']} rounds of both sides in turn; {_load(result)}.",
    ]
    return "\n\n".join(parts)


def fairness(result: dict[str, Any]) -> str:
    """The others beside a flood; masks by weight."""
    flood = result["flood"]
    beside = [
        ["without the flood", f"{flood['calm_p95_ms']:.1f}"],
        [f"one of {flood['cameras']} cameras at 100 times its rate", f"{flood['flooded_p95_ms']:.1f}"],
        ["ratio", f"{flood['ratio']:.2f}"],
    ]
    shares = [
        [
            f"weight {complete['weight']:g}",
            *(f"{row['share']:.1%}" for row in (complete, realtime)),
            f"{complete['due']:.1%}",
        ]
        for complete, realtime in zip(result["weights"]["shares"], result["shedding"]["shares"], strict=True)
    ]
    shares += [
        [f"worst {one}", *(f"{result[which][f'worst_{one}']:.1%} off" for which in ("weights", "shedding")), ""]
        for one in ("group", "stream")
    ]
    parts = [
        _table(["the others' p95", "ms"], beside),
        _table(["share of the masks under overload", "`complete`", "`realtime`", "due"], shares),
        f"Medians of {result['rounds']} rounds; {_load(result)}.",
    ]
    return "\n\n".join(parts)


def autoscale(result: dict[str, Any]) -> str:
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
            _table(head, rows),
            _table(
                ["rival", "replica-hours saved at equal violations, mean"], [*shares, ["all", f"{claim['mean']:+.1%}"]]
            ),
            _table(["one setting for all traces", "violating stream-s", "replica-hours", "decisions"], total),
            text,
        ]
    )


def scale(result: dict[str, Any]) -> str:
    """Frames a second by replicas, cameras that come and go, and the load foreseen."""
    ways = ("servers", "instances")
    counts = sorted({n for way in ways for n in result[way]["throughput"]["frames_per_s"]}, key=int)
    rates = [[n, *(_rate(result[way]["throughput"]["frames_per_s"].get(n)) for way in ways)] for n in counts]
    ramps = [result[way]["ramp"] for way in ways]
    rows: list[Row] = [
        ["cameras at most", *(str(ramp["most"]) for ramp in ramps)],
        ["frames sent", *(f"{ramp['sent']:,}" for ramp in ramps)],
        ["frames lost", *(str(ramp["lost"]) for ramp in ramps)],
        ["replicas at most", *(str(ramp["most_replicas"]) for ramp in ramps)],
        ["changes", *(str(ramp["changes"]) for ramp in ramps)],
        *([f"p{p}, ms", *(f"{ramp[f'p{p}_ms']:,.0f}" for ramp in ramps)] for p in (50, 95, 99)),
    ]
    model = result["servers"]["foresight"]
    foreseen = (
        f"After {model['learned_s']:.0f} s with {model['streams']} cameras the load of {2 * model['streams']} was "
        f"foreseen as {model['foreseen_load']:.3f}; measured, {model['measured_load']:.3f} "
        f"(`prediction_error_2x` {model['prediction_error_2x']:.1%})."
    )
    quota = f"servers of {result['servers']['cpu_quota']:g} cores"
    parts = [
        _table(["frames/s with", quota, "instances in one server"], rates),
        _table(["cameras come and go", quota, "instances in one server"], rows),
        foreseen,
        f"Each camera sends {ramps[0]['frames_per_s']:g} frame/s and wants every mask; {_load(result)}.",
    ]
    return "\n\n".join(parts)


def rate(result: dict[str, Any]) -> str:
    """Joint decoding beside what it replaces: claims, costs, curves."""
    tables = [_table(head, rows) for head, rows in rate_figures.tables(result)]
    return "\n\n".join([*tables, rate_figures.notes(result)])


def e2e(result: dict[str, Any]) -> str:
    """What the stack in containers went through."""
    return _table(["what happens", "what comes of it"], e2e_figures.rows(result))


def uplink(result: dict[str, Any]) -> str:
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
    text = f"{result['data']}, {result['frames_per_s']:g} frames/s; {_load(result)}. Best and worst fixed level shown."
    return f"{_table(head, rows)}\n\n{text}"


def edge(result: dict[str, Any]) -> str:
    """The camera's program beside its aims."""
    aims = result["aims"]
    loss = result["int8_loss"]
    rows = [
        ["frames/s, whole program", f"{result['frames_per_s']:.1f}", f"≥ {aims['frames_per_s']:.0f}"],
        ["frames/s, network and coder alone", f"{result['encode_frames_per_s']:.1f}", ""],
        *([f"{part}, ms a frame", f"{result[f'{part}_ms']:.2f}", ""] for part in ("network", "coder", "rest")),
        ["resident memory at most, MB", f"{result['rss_mb']:.0f}", f"≤ {aims['rss_mb']:.0f}"],
        ["installed, MB", f"{result['installed_mb']:.0f}", f"≤ {aims['installed_mb']:.0f}"],
        ["more with video, MB", f"{result['video_mb']:.0f}", f"≤ {aims['video_mb']:.0f}"],
        ["mIoU lost by int8, at most", "" if loss is None else f"{loss:.2%}", f"≤ {aims['int8_loss']:.0%}"],
    ]
    return _table([f"one camera, {result['input']}, one core", "measured", "aim"], rows) + f"\n\n{_load(result)}."


def chaos(result: dict[str, Any]) -> str:
    """Service after each injected fault, and the accounts."""
    rows = [
        [name, str(len(seconds)), f"{sorted(seconds)[len(seconds) // 2]:.1f}", f"{max(seconds):.1f}"]
        for name, seconds in result["back_s"].items()
    ]
    accounts, without = result["accounts"], Counter[str]()
    for line in accounts:
        without.update({f"refused as {reason}": count for reason, count in line["refusals"].items()})
        without["skipped"] += line["skipped"]
    ends = ", ".join(f"{count:,} {how}" for how, count in sorted(without.items()) if count)
    sent, lost, unaccounted = (sum(line[name] for line in accounts) for name in ("sent", "lost", "unaccounted"))
    text = (
        f"{result['kills']} faults in {result['seconds']:,.0f} s, {result['overlapping']} of them overlapping, on "
        f"{result['dispatchers']} dispatchers and {result['tritons']} Tritons: of {sent:,} frames "
        f"{result['masks_compared']:,} ended in masks ({result['masks_wrong']} streams with a wrong one), the others "
        f"{ends or 'none'}; {lost} lost, {unaccounted} unaccounted for. "
        f"{'The accounts of every stream agree' if result['sound'] else 'The accounts do not agree'}."
    )
    return _table(["injected fault", "times", "service back, median s", "worst s"], rows) + f"\n\n{text}"


def mutants(result: dict[str, Any]) -> str:
    """The planted faults and who catches them."""
    rows = [[row["name"], f"`{row['file']}`", f"`{row['test']}`"] for row in result["rows"]]
    return (
        _table(["fault", "planted in", "caught by"], rows)
        + f"\n\n{result['planted']} planted, {result['survivors']} survived."
    )


RENDERERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "scale": scale,
    "e2e": e2e,
    "rate": rate,
    "uplink": uplink,
    "edge": edge,
    "accuracy": accuracy,
    "codec": codec,
    "labels": labels,
    "seal": seal,
    "headers": headers,
    "spool": spool,
    "time": time,
    "inversion": inversion,
    "fuzz": fuzz,
    "pipeline": pipeline,
    "fairness": fairness,
    "autoscale": autoscale,
    "chaos": chaos,
    "mutants": mutants,
}


def view(shown: View) -> Callable[[dict[str, Any]], str]:
    """How a view of another benchmark's result is rendered."""

    def rendered(result: dict[str, Any]) -> str:
        parts = [_table(head, rows) for head, rows in shown.tables(result)]
        return "\n\n".join([*parts, shown.note] if shown.note else parts)

    return rendered


def render(document: str) -> str:
    """The document with every marked place filled from its result; a place without a result is left as it is."""

    def fill(place: re.Match[str]) -> str:
        name = place[2]
        source_of = VIEWS[name].result if name in VIEWS else name
        if not (RESULTS / f"{source_of}.json").is_file():
            return place[0]
        result = read_result(source_of)
        source = f"`{result['command']}` on {result['machine']}:"
        renderer = view(VIEWS[name]) if name in VIEWS else RENDERERS[name]
        return f"{place[1]}{source}\n\n{renderer(result)}\n{place[3]}"

    return _PLACE.sub(fill, document)


def documents() -> list[Path]:
    """Every document that may hold figures."""
    return [
        ROOT / "README.md",
        ROOT / "ARCHITECTURE.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted(ROOT.glob("bundles/*/MODEL_CARD.md")),
    ]


def main() -> None:
    stale = [path for path in documents() if render(path.read_text()) != path.read_text()]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} differs from benchmarks/results: run `make figures`")
        else:
            path.write_text(render(path.read_text()))
            print(f"rewrote the figures of {path.relative_to(ROOT)}")
    sys.exit(1 if stale and "--check" in sys.argv else 0)


def _holding(by_trace: dict[str, bool]) -> str:
    names = [name for name, holds in by_trace.items() if holds]
    return f"{len(names)} of {len(by_trace)} traces ({', '.join(names)})"


def _growth(rows: list[dict[str, Any]]) -> str:
    def line(row: dict[str, Any]) -> Row:
        at_load, full = row["at_load"], row["full"]
        numbers = [at_load["p50_ms"], at_load["cpu_ms_outside_triton"], full["whole_frames_per_s"]]
        return [f"{row['streams']:,}", *(f"{n:,.1f}" for n in numbers), f"{full['cpu_ms_outside_triton']:.2f}"]

    offered = f"at {rows[0]['offered_frames_per_s']:.0f} frames/s: p50, ms"
    head = ["streams in one dispatcher", offered, "CPU ms a frame", "saturated: frames/s", "CPU ms a frame"]
    return _table(head, [line(row) for row in rows])


def _stages(means_ms: dict[str, float]) -> list[Row]:
    """All but the uplink: these packets were made long before they were sent."""
    return [[name, f"{ms:.2f}"] for name, ms in means_ms.items() if name != "uplink"]


def _load(result: dict[str, Any]) -> str:
    before, after = result["load_average_before"], result["load_average_after"]
    return f"the machine was shared: load average {before:.1f} before, {after:.1f} after"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(head: Row, rows: list[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
