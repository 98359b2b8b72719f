"""The tables of the page on sizing are computed from what was measured."""

import re

from benchmarks.figures import ROOT
from benchmarks.sizing.figures import VIEWS, redis_memory, references, streams_per_core, uplink


def test_every_view_has_a_place_on_the_page() -> None:
    page = (ROOT / "docs" / "sizing.md").read_text()
    assert set(re.findall(r"<!-- figures:(\w+) -->", page)) >= set(VIEWS)


def test_an_uplink_is_bytes_times_eight_times_the_rate() -> None:
    level = {"level": 0, "encoder": "int8", "packet_bytes": 1000, "miou": 0.5}
    ((_, (row,)),) = uplink({"levels": [level, level | {"encoder": "float"}]})
    assert row == ["0", "1,000", "8.0", "40.0", "80.0", "200.0", "50.0%"]


def test_streams_of_a_core_are_those_at_four_fifths_of_its_time() -> None:
    ((_, rows),) = streams_per_core(
        {
            "each_round": [{"path_at_load": {"cpu_ms": {"triton": ms}}} for ms in (30.0, 20.0, 10.0)],
            "cpu_ms_outside_triton": 2.0,
            "cpu_ms_outside_triton_at_load": 4.0,
            "cpu_ms": {"triton": 10.0},
        }
    )
    assert [row[1:4] for row in rows] == [
        ["2.00", "400", "80"],
        ["4.00", "200", "40"],
        ["10.00", "80", "16"],
        ["20.00", "40", "8"],
    ]


def test_a_second_of_backlog_is_what_a_thousand_streams_send_in_it() -> None:
    waiting, kept = redis_memory(
        {
            "waiting": [{"level": 0, "packet_bytes": 900.0, "redis_bytes": 1000.0}],
            "kept": {"redis_bytes": 4000.0, "small_redis_bytes": 800.0, "masks_a_stream": 250},
        }
    )
    assert waiting[1] == [["0", "900", "1,000", "1.00", "5.00", "10.00", "25.00"]]
    assert kept[1] == [["fast", "4,000", "250", "1.00", "1.00"], ["small", "800", "250", "0.20", "0.20"]]


def test_streams_within_the_bound_on_references_are_as_many_as_are_counted_there() -> None:
    found = {"kept": 8, "bytes_a_stream": 1e6, "counted_a_stream": float(2 << 20)}
    ((head, (row,)),) = references({"references": found})
    assert row == ["8", "1,000,000", "2,097,152", "1,000", "5,000", "256"]
    assert head[-1] == "streams with all of theirs within 512 MiB"
