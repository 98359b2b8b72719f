"""The tables of ``docs/sizing.md``: from several benchmarks' results, each rendered from one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from orchestrator.dispatch.settings import DispatchSettings

Table = tuple[list[str], list[list[str]]]
_FPS = (1, 5, 10, 25)
_FLEETS = (1000, 5000)
_LOAD = 0.8


@dataclass(frozen=True)
class View:
    """What a place in a document shows: which result, as which tables, and a line below them."""

    result: str
    tables: Callable[[dict[str, Any]], list[Table]]
    note: str = ""


def uplink(result: dict[str, Any]) -> list[Table]:
    """Kilobits a second of a stream, by level and frame rate."""
    rows = [
        [
            str(row["level"]),
            f"{row['packet_bytes']:,}",
            *(f"{row['packet_bytes'] * 8 * fps / 1000:,.1f}" for fps in _FPS),
            f"{row['miou']:.1%}",
        ]
        for row in result["levels"]
        if row["encoder"] == "int8"
    ]
    return [(["level", "packet, bytes", *(f"kbit/s at {fps}/s" for fps in _FPS), "mIoU"], rows)]


def streams_per_core(result: dict[str, Any]) -> list[Table]:
    """Streams that a core carries at a load of 0.8, by what is measured of a frame's processor time."""
    at_load = [each["path_at_load"]["cpu_ms"] for each in result["each_round"]]
    outside = {
        "saturated": result["cpu_ms_outside_triton"],
        "at 70 % load": result["cpu_ms_outside_triton_at_load"],
    }
    triton = {"saturated": result["cpu_ms"]["triton"], "at 70 % load": median(each["triton"] for each in at_load)}
    rows = [
        _per_core(f"{name}, {how}", ms)
        for name, found in (("dispatcher and Redis", outside), ("decoder on a CPU (ONNX Runtime)", triton))
        for how, ms in found.items()
    ]
    return [(["what", "CPU ms a frame", *(f"streams a core at {fps}/s" for fps in _FPS)], rows)]


def redis_memory(result: dict[str, Any]) -> list[Table]:
    """A waiting frame by level, what a second of backlog takes, and masks that are kept."""
    waiting = [
        [
            str(row["level"]),
            f"{row['packet_bytes']:,.0f}",
            f"{row['redis_bytes']:,.0f}",
            *(_megabytes(1000 * fps * row["redis_bytes"]) for fps in _FPS),
        ]
        for row in result["waiting"]
    ]
    kept = result["kept"]
    most = kept["masks_a_stream"]
    packings = {"fast": kept["redis_bytes"], "small": kept["small_redis_bytes"]}
    head = ["level", "packet, bytes", "waiting in Redis, bytes"]
    return [
        ([*head, *(f"MB a second of backlog, 1000 streams at {fps}/s" for fps in _FPS)], waiting),
        (
            ["masks", "a kept mask, bytes", "masks kept a stream", "MB a stream", "GB for 1000 streams"],
            [
                [name, f"{each:,.0f}", str(most), _megabytes(each * most), f"{each * most * 1000 / 1e9:.2f}"]
                for name, each in packings.items()
            ],
        ),
    ]


def references(result: dict[str, Any]) -> list[Table]:
    """What the references of P packets take in a dispatcher, of one stream and of many."""
    found = result["references"]
    each, most = found["bytes_a_stream"], DispatchSettings().references_bytes
    head = ["references kept a stream", "bytes a stream", "as counted", *(f"MB for {n:,} streams" for n in _FLEETS)]
    row = [str(found["kept"]), f"{each:,.0f}", f"{found['counted_a_stream']:,.0f}"]
    within = f"streams with all of theirs within {most >> 20} MiB"
    return [
        (
            [*head, within],
            [[*row, *(f"{each * n / 1e6:,.0f}" for n in _FLEETS), f"{most // found['counted_a_stream']:,.0f}"]],
        )
    ]


def scrape(result: dict[str, Any]) -> list[Table]:
    """Series, bytes and time of a scrape, by streams."""
    rows = [
        [
            f"{row['streams']:,}",
            program,
            *(f"{row[program][name]:,}" for name in ("series", "bytes", "gzip_bytes")),
            f"{row[program]['answer_ms']:.0f}",
        ]
        for row in result["rows"]
        for program in ("dispatcher", "autoscaler")
    ]
    return [(["streams", "program", "series", "bytes", "gzip, bytes", "answer, ms"], rows)]


VIEWS = {
    "uplink_per_stream": View("accuracy", uplink),
    "streams_per_core": View("pipeline", streams_per_core),
    "sizing": View("sizing", redis_memory),
    "references": View("sizing", references),
    "scrape": View("scrape", scrape, "Each stream in a group of its own, so that labels have what to grow with."),
}


def _per_core(what: str, ms: float) -> list[str]:
    return [what, f"{ms:.2f}", *(f"{_LOAD * 1000 / (ms * fps):,.0f}" for fps in _FPS)]


def _megabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.2f}"
