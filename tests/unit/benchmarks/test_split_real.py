"""`make bench-split` on the real stack: what a journal and its results come to, who plays when, and who drives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.split.design_tables import DEVICE_ONLY, OURS, SERVER_ONLY, STATIC
from benchmarks.split.real.contenders import DrivenBy, Known, OursOnOurLevels, names, planner_of, static_designs
from benchmarks.split.real.layout import OUR_LEVELS
from benchmarks.split.real.measure import Lot, Stored, lots, runs_of
from benchmarks.split.real.scores import Play, Result
from benchmarks.split.scheduler import Seen
from benchmarks.split.traces import traces
from benchmarks.split.verdict import intervals, summary, verdict
from narrows.contract.schedule import Conditions, Constraints, Design, Kind, Objective, PlanTable

SEEN = Conditions(100_000.0, 0.04)
KNOWN = Known(0.1, 30.0, (0.0, 10.0, 40.0, 50.0), 55.0)


def frame(sequence: int, capture_ms: int, *, sent: bool = True) -> dict[str, Any]:
    return {"epoch": 1, "sequence": sequence, "capture_ms": capture_ms, "sent": sent}


def change(design: str, from_sequence: int) -> dict[str, Any]:
    return {"design": design, "epoch": 1, "from_sequence": from_sequence}


JOURNAL = [
    change("a", 0), frame(0, 9_000), frame(1, 12_000), change("b", 2), frame(2, 14_000), frame(3, 16_000, sent=False),
]  # fmt: skip
DONE_MS = {(1, 0): 10_500, (1, 1): 13_000, (1, 2): 21_000}


def test_results_are_counted_within_the_trace_and_latency_is_that_of_the_newest_frame_at_each_moment() -> None:
    found = Play(10_000.0, 10, JOURNAL, DONE_MS).result()
    assert found.results_per_s == pytest.approx(2 / 10)
    assert found.mean_latency_s == pytest.approx((2 * 1.5 + 2 * 1.0 + 6 * 7.0) / 10)
    assert (found.switches, found.designs) == (1, {"a": 4.0, "b": 6.0})


def test_a_frame_without_a_result_is_late_for_ever_and_a_trace_without_frames_has_its_own_length() -> None:
    assert Play(10_000.0, 10, JOURNAL, {}).result().mean_latency_s == math.inf
    assert Play(10_000.0, 10, [], {}).result().mean_latency_s == 10.0


def test_a_frame_is_lost_that_was_acknowledged_and_has_no_end_whatever_else_arrived() -> None:
    arrived = {(1, 0): 10_500, (1, 3): 17_000, (1, 4): 18_000}
    assert Play(10_000.0, 10, JOURNAL, arrived).result().lost == 2
    assert Play(10_000.0, 10, JOURNAL, arrived, ended_otherwise=2).result().lost == 0
    assert Play(10_000.0, 10, JOURNAL, DONE_MS).result().lost == 0


def table() -> PlanTable:
    """Two cuts in the middle beside the two ends, each at the levels of the benchmark's bundle."""
    heads_s, bytes_, tails_s = (0.001, 0.01, 0.04, 0.055), (70_000, 30_000, 2_000, 9_000), (0.055, 0.045, 0.01, 0.001)
    designs = [
        Design(
            f"cut {cut}, level {level}", Kind.SPLIT, 0, heads_s[cut],
            bytes_[cut] * (1 if level in OUR_LEVELS else 3) / (level or 1),
            tails_s[cut], 0.999 if level % 4 else 0.97, cut=cut,
        )
        for cut in range(4)
        for level in range(9)
    ]  # fmt: skip
    return PlanTable("0" * 64, "agreement", tuple(designs))


def test_a_rival_drives_the_camera_by_a_pin_and_hears_what_heads_took() -> None:
    planner = planner_of("DynO, our coder", KNOWN)(table(), Objective.THROUGHPUT, Constraints())
    assert isinstance(planner, DrivenBy)
    planner.choose_among(table())
    first = planner.plan(SEEN, 0.0)
    assert first.reason == "pinned by the operator"
    assert first.chosen.design == planner.scheduler.choose(planner_seen())
    for second in range(20):
        planner.took(first.chosen.design.name, 30.0, 0.0, float(second))
    assert planner.plan(SEEN, 21.0).chosen.design.cut == 0, "a device that is so slow should do next to nothing"


def planner_seen() -> Seen:
    return Seen(0.0, 100_000.0, 100_000.0, 0.04, 0.0, 0.0, 0.0, 0.0)


def test_ours_sees_our_levels_alone_and_each_rival_its_own() -> None:
    ours = planner_of(OURS, KNOWN)(table(), Objective.THROUGHPUT, Constraints())
    assert isinstance(ours, OursOnOurLevels)
    ours.choose_among(table())
    assert {each.name[-1] for each in ours.table.designs} == {"1", "2", "3", "4"}
    raw = planner_of("DADS", KNOWN)(table(), Objective.THROUGHPUT, Constraints())
    raw.choose_among(table())
    wide = raw.plan(Conditions(1e9, 0.04), 0.0).chosen.design
    assert (wide.cut, wide.name[-1]) in {(0, "3"), (1, "0"), (2, "0"), (3, "3")}


def test_static_designs_are_the_smallest_that_agree_enough() -> None:
    assert [each.name for each in static_designs(table())] == [f"cut {cut}, level 3" for cut in range(4)]


def test_each_contender_plays_each_trace_once_a_run_beside_others_from_run_to_run() -> None:
    found = list(lots(names(["x"]), traces()[:2], [Objective.LATENCY], 2, 3))
    for run in range(2):
        for trace in traces()[:2]:
            played = [name for lot in found if (lot.run, lot.trace) == (run, trace) for name in lot.contenders]
            assert sorted(played) == sorted(names(["x"]))
    assert found[0].contenders != next(lot for lot in found if lot.run == 1).contenders


def test_what_was_played_is_known_to_the_next_call_and_a_trace_counts_once_all_have_played_it(tmp_path: Path) -> None:
    contenders, trace = names(["x"]), traces()[0]
    stored = Stored(tmp_path / "plays.jsonl")
    lot = Lot(0, Objective.THROUGHPUT, trace, contenders)
    for rate, name in enumerate(contenders, start=1):
        assert runs_of(Stored(tmp_path / "plays.jsonl"), contenders, [trace], [Objective.THROUGHPUT]) == []
        stored.add(lot, name, Result(float(rate), 1.0, 0, 1, {}))
    again = Stored(tmp_path / "plays.jsonl")
    assert all(again.has(lot, name) for name in contenders)
    assert not again.has(Lot(1, Objective.THROUGHPUT, trace, contenders), OURS)
    (run,) = runs_of(again, contenders, [trace], [Objective.THROUGHPUT])
    (row,) = run["traces"]
    assert (row["best_static_design"], row["scores"][STATIC]["median"]) == ("static: x", float(len(contenders)))
    assert (row["scores"][DEVICE_ONLY]["median"], row["scores"][SERVER_ONLY]["median"]) == (2.0, 3.0)
    assert (row["frames_lost"], verdict([run])["throughput_over_device_only"]) == (len(contenders), 0.5)


def test_an_interval_is_of_numbers_of_one_run_each() -> None:
    scores = {name: summary([1.0, 1.0, 1.0]) for name in (*names([]), STATIC)} | {OURS: summary([1.0, 3.0, 2.0])}
    row = {"trace": "t", "changes": True, "scores": scores, "frames_lost": 0}
    runs = [{"network": "n", "objective": "throughput", "traces": [row]}]
    assert verdict(runs)["worst_against_best_static"] == 2.0
    assert intervals(runs)["worst_against_best_static"] == (1.0, 3.0)
