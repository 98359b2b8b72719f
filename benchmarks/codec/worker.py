"""One side of ``benchmarks/codec/against.py``: the coder of the tree named by PYTHONPATH, asked through a pipe.

It uses only what every commit's coder has, and is run by path, so that no other module of this tree is imported.
"""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path
from typing import Any

import narrows
from narrows.contract.codec import CodingTables, decode_symbols, encode_symbols


class Side:
    """Answers one request after the other."""

    def tables(self, tree: str, tables: bytes) -> bool:
        """The tables to code with; this must be the coder of ``tree``."""
        if not Path(narrows.__file__).is_relative_to(tree):
            sys.exit(f"the coder was imported from {narrows.__file__}, not from {tree}")
        self._tables = CodingTables.from_bytes(tables)
        return True

    def planes(self, level: int, planes: list[Any]) -> list[bytes]:
        """The payloads of planes, which decode to the same planes."""
        self._level, self._planes = level, planes
        self._payloads = [encode_symbols(plane, self._tables, level) for plane in planes]
        decoded = [decode_symbols(p, planes[0].shape, self._tables, level) for p in self._payloads]
        if any((found != plane).any() for found, plane in zip(decoded, planes, strict=True)):
            sys.exit(f"level {level}: a plane does not survive its own coder")
        return self._payloads

    def round(self) -> tuple[float, float]:
        """Seconds to encode all planes, and to decode all payloads."""
        began = time.perf_counter()
        for plane in self._planes:
            encode_symbols(plane, self._tables, self._level)
        halfway = time.perf_counter()
        for payload in self._payloads:
            decode_symbols(payload, self._planes[0].shape, self._tables, self._level)
        return halfway - began, time.perf_counter() - halfway


def main() -> None:
    side = Side()
    while True:
        try:
            name, *arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the parent
        except EOFError:
            return
        pickle.dump(getattr(side, name)(*arguments), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
