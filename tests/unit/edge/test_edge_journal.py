"""The journal and the progress line say what the counters say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_client.journal import EdgeJournal
from edge_client.planning.design_change import DesignChange
from edge_client.progress import summarise
from edge_client.stats import EdgeStats, Tally
from edge_client.transport.outbox import FrameRecord
from edge_client.transport.server_clock import Estimate
from narrows.contract.errors import StateError
from narrows.contract.schedule import Conditions
from narrows.contract.wire import FrameIdentity

RECORD = FrameRecord(7, 99, "street", 1_790_000_000_000, 4321, 2, 12.3456, 0.5)


def test_a_line_a_frame_and_one_at_the_end(tmp_path: Path) -> None:
    tally = Tally()
    for _ in range(2):
        tally.taken(network_s=0.01, coder_s=0.001)
    with EdgeJournal(tmp_path / "j.jsonl", tally) as journal:
        tally.sent(4321)
        journal.frame(replace(RECORD, latency=Estimate(0.08321, 0.0205)), None)
        tally.dropped("queue_full")
        journal.frame(RECORD, "queue_full")
    sent, dropped, end = [json.loads(line) for line in (tmp_path / "j.jsonl").read_text().splitlines()]
    assert sent == {
        "sequence": 7,
        "epoch": 99,
        "name": "street",
        "capture_ms": 1_790_000_000_000,
        "bytes": 4321,
        "level": 2,
        "kind": "features",
        "encode_ms": {"network": 12.346, "coder": 0.5},
        "latency_ms": 83.2,
        "latency_error_ms": 20.5,
        "sent": True,
        "reason": None,
    }
    assert (dropped["sent"], dropped["reason"], dropped["latency_ms"]) == (False, "queue_full", None)
    assert (end["end"], end["frames_taken"], end["frames_sent"]) == (True, 2, 1)
    assert end["frames_dropped"] == {"queue_full": 1}


def test_a_change_of_design_is_a_line_of_its_own(tmp_path: Path) -> None:
    seen = Conditions(2000.0, 0.01)
    change = DesignChange("cut 1, level 0", "cut 0, level 0", "better by the objective", FrameIdentity(9, 4), 0.2, seen)
    with EdgeJournal(tmp_path / "j.jsonl", Tally()) as journal:
        journal.design(change)
        journal.frame(RECORD, None)
    first, *_ = [json.loads(line) for line in (tmp_path / "j.jsonl").read_text().splitlines()]
    assert first == {
        "design": "cut 1, level 0",
        "before": "cut 0, level 0",
        "reason": "better by the objective",
        "epoch": 9,
        "from_sequence": 4,
        "expected_latency_ms": 200.0,
        "goodput_bytes_per_s": 2000,
        "round_trip_ms": 10.0,
        "device_load": 0.0,
        "overhead_ms": 0.0,
        "temperature_c": None,
        "cloud_load": 0.0,
        "size_ratio": 1.0,
    }


def test_the_end_line_is_written_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), EdgeJournal(tmp_path / "j.jsonl", Tally()):
        raise RuntimeError
    assert json.loads((tmp_path / "j.jsonl").read_text())["end"] is True


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="--journal"):
        EdgeJournal(tmp_path / "absent" / "j.jsonl", Tally())


def test_progress_gives_rates_of_its_own_interval() -> None:
    before = EdgeStats(frames_taken=10, frames_sent=10, bytes_sent=10_000, network_s=1.0, coder_s=0.1)
    now = EdgeStats(frames_taken=60, frames_sent=50, bytes_sent=135_000, network_s=2.0, coder_s=0.2, frames_waiting=10)
    line = summarise(before, now, elapsed_s=5.0)
    assert line == {"sent": 50, "fps": 8.0, "kbit_s": 200.0, "network_ms": 20.0, "coder_ms": 2.0, "queue": 10}


def test_progress_names_what_went_wrong_only_when_it_did() -> None:
    now = EdgeStats(frames_dropped={"queue_full": 2, "unconfirmed": 1}, passed_over=4, behind_s=3.0)
    line = summarise(EdgeStats(), now, elapsed_s=5.0)
    assert (line["dropped"], line["passed_over"], line["behind_s"]) == (3, 4, 3.0)
    assert line["network_ms"] is None
