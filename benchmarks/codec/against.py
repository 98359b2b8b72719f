"""The coder of another commit beside the present one: the same planes, in turn, in one run.

::

    git archive REV ─► folder, its kernel compiled ─► worker ─┐
    this tree ──────────────────────────────────────► worker ─┴─ rounds in turn ─► median of the rounds' ratios

Each side is a process of its own, since two versions of one package do not fit one interpreter.
"""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.revision import ROOT, checked_out, environment
from narrows.contract.codec import CodingTables

WORKER = Path(__file__).with_name("worker.py")
Planes = Sequence[NDArray[np.int8]]


@dataclass(frozen=True)
class Ratio:
    """One level: how many times as fast as the other commit is the present one, and its bytes by the other's.

    Attributes:
        level: the rate level.
        decode: time of the other commit by time of this one, median over the rounds.
        encode: likewise.
        bits: this one's bytes by the other's.
        payloads_same: whether every payload is the same, byte for byte.
    """

    level: int
    decode: float
    encode: float
    bits: float
    payloads_same: bool


def compare(revision: str, tables: CodingTables, symbols: Sequence[Planes], rounds: int) -> list[Ratio]:
    """Time both commits' coders at every level.

    Args:
        revision: what git calls the other commit.
        tables: of the bundle.
        symbols: planes ``(C, h, w)`` int8, for each level.
        rounds: how often each side codes all planes of a level.

    Raises:
        SystemExit: there is no such commit, or its coder does not compile.
    """
    with ExitStack() as stack:
        other_tree = stack.enter_context(checked_out(revision, ["narrows"]))
        other, present = (stack.enter_context(_worker(tree, tables)) for tree in (other_tree, ROOT))
        return [_level(other, present, level, planes, rounds) for level, planes in enumerate(symbols)]


@dataclass(frozen=True)
class _Worker:
    requests: IO[bytes]
    answers: IO[bytes]

    def ask(self, request: object) -> Any:  # noqa: ANN401 - what each request answers stands in worker.py
        pickle.dump(request, self.requests)
        self.requests.flush()
        try:
            return pickle.load(self.answers)  # noqa: S301 - of our own child
        except EOFError:
            raise SystemExit("a coder ended before it answered; its words stand above") from None


def _level(other: _Worker, present: _Worker, level: int, planes: Planes, rounds: int) -> Ratio:
    encoded = [side.ask(("planes", level, list(planes))) for side in (other, present)]
    sizes = [sum(map(len, payloads)) for payloads in encoded]
    encode, decode = [], []
    for _ in range(rounds):
        (other_encode_s, other_decode_s), (encode_s, decode_s) = (side.ask(("round",)) for side in (other, present))
        encode.append(other_encode_s / encode_s)
        decode.append(other_decode_s / decode_s)
    return Ratio(
        level, statistics.median(decode), statistics.median(encode), sizes[1] / sizes[0], encoded[0] == encoded[1]
    )


@contextmanager
def _worker(tree: Path, tables: CodingTables) -> Iterator[_Worker]:
    command = [sys.executable, str(WORKER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tree, env=environment(tree)
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        worker = _Worker(process.stdin, process.stdout)
        try:
            worker.ask(("tables", str(tree), tables.to_bytes()))
            yield worker
        finally:
            process.stdin.close()
