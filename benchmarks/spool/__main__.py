"""The spool's segments beside SQLite in WAL mode: bytes written, time, lines, and what a torn file costs.

Example: python -m benchmarks.spool --frames 2000
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from benchmarks.record import write_result
from benchmarks.spool.sqlite_store import SqliteStore
from edge_client.spool import Keep, Spool
from edge_client.spool.record import format_record
from edge_client.transport.outbox import FrameRecord, Outgoing

_PACKET_BYTES = 700
_CONFIRM_EVERY = 16
_ROOT = Path(__file__).parents[2]
_OURS = tuple(_ROOT / "edge_client/spool" / name for name in ("cursor.py", "record.py", "segment.py"))
_THEIRS = (Path(__file__).with_name("sqlite_store.py"),)


def frame(sequence: int) -> Outgoing:
    packet = bytes((sequence + i * i) % 251 for i in range(_PACKET_BYTES))
    return Outgoing(FrameRecord(sequence, 1, f"{sequence}", sequence, len(packet), 2, 1.5, 0.25), packet)


def opened(folder: Path) -> Spool:
    return Spool(folder, 256 << 20, Keep.NEWEST, time.monotonic, lambda _: None)


def through_ours(folder: Path, count: int) -> None:
    spool = opened(folder)
    for i in range(count):
        spool.append(frame(i))
    for i in range(count):
        read = spool.read()
        assert read is not None
        if i % _CONFIRM_EVERY == _CONFIRM_EVERY - 1:
            spool.confirm(read.outgoing.stored or 0)
    spool.close()


def through_sqlite(folder: Path, count: int) -> None:
    store = SqliteStore(folder)
    for i in range(count):
        store.append(i, format_record(i, frame(i)))
    last = -1
    for i in range(count):
        read = store.read(last)
        assert read is not None
        last = read[0]
        if i % _CONFIRM_EVERY == _CONFIRM_EVERY - 1:
            store.confirm(last)
    store.close()


def cost(run: Callable[[Path, int], None], count: int) -> tuple[float, float]:
    """Bytes handed to the kernel, and microseconds, for each frame that went in and out."""
    with tempfile.TemporaryDirectory() as folder:
        before, begun_s = _written(), time.perf_counter()
        run(Path(folder), count)
        return (_written() - before) / count, (time.perf_counter() - begun_s) / count * 1e6


def torn(file: Path, ends: list[int], survivors: Callable[[], list[bytes]]) -> dict[str, int]:
    """Cut a file at every byte: frames that were whole and are lost, and frames that come back wrong, at most."""
    whole, packets = file.read_bytes(), [frame(i).packet for i in range(len(ends))]
    lost = wrong = 0
    for cut in range(ends[0], len(whole) + 1):
        file.write_bytes(whole[:cut])
        found, complete = survivors(), sum(end <= cut for end in ends)
        wrong = max(wrong, sum(got != want for got, want in zip(found, packets, strict=False)))
        lost = max(lost, complete - len(found))
    return {"cuts": len(whole) + 1 - ends[0], "lost": lost, "wrong": wrong}


def torn_ours(count: int) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spool, ends = opened(folder), []
        for i in range(count):
            spool.append(frame(i))
            (segment,) = (path for path in folder.iterdir() if path.name != "cursor")
            ends.append(segment.stat().st_size)
        spool.close()

        def survivors() -> list[bytes]:
            again, found = opened(folder), []
            while (read := again.read()) is not None:
                found.append(read.outgoing.packet)
            again.close()
            return found

        return torn(segment, ends, survivors)


def torn_sqlite(count: int) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as name:
        folder, copy = Path(name) / "live", Path(name) / "copy"
        folder.mkdir()
        copy.mkdir()
        store, ends, wal = SqliteStore(folder), [], copy / "spool.db-wal"
        for i in range(count):
            store.append(i, frame(i).packet)
            ends.append((folder / "spool.db-wal").stat().st_size)
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        store.close()
        base = (copy / "spool.db").read_bytes()

        def survivors() -> list[bytes]:
            (copy / "spool.db").write_bytes(base)
            (copy / "spool.db-shm").unlink(missing_ok=True)
            connection = sqlite3.connect(copy / "spool.db")
            try:
                connection.execute("PRAGMA synchronous=OFF")  # bytes are cut here, not the power
                return [row[0] for row in connection.execute("SELECT record FROM frames ORDER BY number")]
            except sqlite3.DatabaseError:
                return []
            finally:
                connection.close()

        return torn(wal, ends, survivors)


def lines(paths: tuple[Path, ...]) -> int:
    """Lines that are neither blank nor comments."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for path in paths for line in path.open())


def _written() -> int:
    text = Path("/proc/self/io").read_text()
    return int(text.partition("wchar: ")[2].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-spool", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000, help="frames that go in and out")
    parser.add_argument("--torn-frames", type=int, default=3, help="frames in the file that is cut at every byte")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    figures: dict[str, Any] = {"packet_bytes": _PACKET_BYTES}
    for name, run, tear, paths in (
        ("segments", through_ours, torn_ours, _OURS),
        ("sqlite", through_sqlite, torn_sqlite, _THEIRS),
    ):
        written, took_us = min((cost(run, options.frames) for _ in range(3)), key=lambda each: each[1])
        figures[name] = {"bytes": round(written), "us": round(took_us, 1), "lines": lines(paths)}
        figures[name] |= tear(options.torn_frames)
        print(name, figures[name], flush=True)
    print(write_result("spool", "make bench-spool", figures))


if __name__ == "__main__":
    main()
