"""The figures of ``benchmarks/results/fleet.json`` in documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.markdown import table

Rows = Sequence[tuple[str, str, str]]
"""What a row is called, the field, and its format."""
ROWS_OF_PLAN: Rows = (
    ("cameras", "cameras", ",d"),
    ("installs", "installs", ",d"),
    ("shards of each (`--shards`)", "shards", ",d"),
    ("Redis masters, a replica each", "masters", ",d"),
    ("shards of the fullest master over the mean", "hottest", ".2f"),
    ("Redis memory, GiB, with replicas", "redis_gib", ",.1f"),
    ("dispatchers, a core each", "dispatchers", ",d"),
    ("decoders, cores", "decoder_cores", ",d"),
    ("packets in, Mbit/s", "uplink_mbit_s", ",.0f"),
    ("between zones, Mbit/s", "zone_mbit_s", ",.0f"),
    ("series", "series", ",d"),
    ("samples a second", "samples_per_s", ",.0f"),
    ("Prometheus that scrape", "prometheus", ",d"),
    ("dollars a month", "dollars_a_month", ",.0f"),
    ("dollars a camera and month", "dollars_a_camera", ",.2f"),
)
ROWS_OF_GPUS: Rows = (
    ("GPUs in the place of decoders' cores", "gpus", ",d"),
    ("dollars a camera and month with them", "dollars_a_camera_with_gpus", ",.2f"),
)
ROWS_OF_ZONE: Rows = (
    ("case", "name", ""),
    ("reconnects/s before, peak", "calm_reconnects_per_s", ",.0f"),
    ("zone lost: reconnects/s, peak", "lost_reconnects_per_s", ",.0f"),
    ("p99 age, s, peak", "lost_p99_age_s", ".1f"),
    ("s until it stays below 1 s", "lost_calm_after_s", ".0f"),
    ("frames without a decoder, peak", "left_out", ".0%"),
    ("seconds with over 1 % of them", "left_out_s", ",d"),
    ("zone back, shards handed over: p99 age, s", "back_p99_age_s", ".1f"),
    ("masters home: reconnects/s, peak", "home_reconnects_per_s", ",.0f"),
    ("p99 age, s, peak", "home_p99_age_s", ".1f"),
    ("ten minutes later: reconnects/s, peak", "later_reconnects_per_s", ",.0f"),
    ("handshakes at the busiest node", "busiest_share", ".1%"),
    ("times real time", "times_real_time", ",.0f"),
)


def rows_of(plans: Sequence[dict[str, Any]]) -> Rows:
    """The rows of plans: those of GPUs where it was said what one does."""
    return (*ROWS_OF_PLAN, *ROWS_OF_GPUS) if plans[0].get("gpus") else ROWS_OF_PLAN


def render(result: dict[str, Any]) -> str:
    """What a fleet needs, a column a size; what it costs; a zone's loss, a line a case; how evenly shards lie."""
    chosen, costs = result["assumptions"], result["costs"]
    plans = _columns(rows_of(result["plans"]), result["plans"])
    prices = _prices(chosen, result["plans"][0]["gpu_break_even"])
    priced = f"{_assumed(chosen)} {_measured(costs)} {prices}"
    zone = table(
        [label for label, _, _ in ROWS_OF_ZONE],
        [[format(line[name], form) for _, name, form in ROWS_OF_ZONE] for line in result["zone"]],
    )
    shares = list(next(iter(result["hottest"].values())))
    even = table(
        ["masters", *(f"{each} shards a master" for each in shares)],
        [[masters, *(str(row.get(each, "")) for each in shares)] for masters, row in result["hottest"].items()],
    )
    about_even = "Shards of the fullest master over the mean, slots in equal ranges:"
    return f"{plans}\n\n{priced}\n\n{zone}\n\n{about_even}\n\n{even}"


def _columns(rows: Rows, found: Sequence[dict[str, Any]]) -> str:
    filled = [[label, *(format(each[name], form) for each in found)] for label, name, form in rows]
    return table(filled[0], filled[1:])


def _assumed(chosen: dict[str, Any]) -> str:
    return (
        f"{chosen['fps']:g} frames/s a camera at rate level {chosen['level']}; cores {chosen['load']:.0%} busy, Redis "
        f"nodes {chosen['node_load']:.0%}; {chosen['zones']} zones, of which all but one can do all the work."
    )


def _measured(costs: dict[str, Any]) -> str:
    return (
        f"Measured, of a frame: {costs['packet_bytes']:.0f} bytes in, {costs['mask_bytes']:.0f} out, Redis "
        f"{costs['redis_frame_ms']:.2f} ms, dispatcher {costs['dispatcher_frame_ms']:.2f} ms, decoder (int8) on a core "
        f"{costs['decoder_frame_ms']:.2f} ms; of a connection by TLS {costs['connect_ms']:.2f} ms of the node."
    )


def _prices(chosen: dict[str, Any], break_even: float) -> str:
    return (
        f"Assumed prices: {chosen['core_h']:g} dollars a core and hour, {chosen['gib_h']:g} a GiB and hour, "
        f"{chosen['zone_gb']:g} a GB between zones. A GPU at {chosen['gpu_h']:g} dollars an hour is cheaper than cores "
        f"from {break_even:,.0f} frames/s on; {_said_of_gpus(chosen.get('gpu_fps'))}."
    )


def _said_of_gpus(gpu_fps: float | None) -> str:
    return f"it is said to do {gpu_fps:,.0f}" if gpu_fps else "how many it does was not measured"
