"""What the spool keeps, kept by SQLite instead: a row a frame, one transaction each, WAL mode."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class SqliteStore:
    """Frames by number; ``synchronous=NORMAL`` syncs at checkpoints alone, so a power cut may take the last of them."""

    def __init__(self, folder: Path) -> None:
        self._base = sqlite3.connect(folder / "spool.db", isolation_level=None)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=NORMAL")
        self._base.execute("CREATE TABLE IF NOT EXISTS frames (number INTEGER PRIMARY KEY, record BLOB NOT NULL)")

    def append(self, number: int, record: bytes) -> None:
        """Take a frame in."""
        self._base.execute("INSERT INTO frames VALUES (?, ?)", (number, record))

    def read(self, after: int) -> tuple[int, bytes] | None:
        """The first frame behind a number."""
        found: tuple[int, bytes] | None = self._base.execute(
            "SELECT number, record FROM frames WHERE number > ? ORDER BY number LIMIT 1", (after,)
        ).fetchone()
        return found

    def confirm(self, upto: int) -> None:
        """Forget all frames up to a number."""
        self._base.execute("DELETE FROM frames WHERE number <= ?", (upto,))

    def close(self) -> None:
        """Close the file."""
        self._base.close()
