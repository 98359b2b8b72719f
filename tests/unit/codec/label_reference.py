"""The label map's decoder once more, from docs/label-coding.md alone: plain Python integers, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec.label_tables import LabelTables, LabelTableSet
from narrows.contract.errors import PayloadUndecodable

RANKED = (
    (0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0), (-1, 2), (-2, 1),
    (-2, -1), (-1, -2), (-1, 3), (-2, 3), (-1, 4), (-3, 2), (-2, -3),
)  # fmt: skip
W, N, NE, NW, WW, NN = (0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0)
TESTS = (
    (NE, W), (N, NW), ((-2, -1), W), ((-2, -3), W), (N, NN), (NE, (-1, 2)), ((-3, 2), W),
    (NE, NN), ((-2, -2), W), ((-1, -3), W), ((-2, 3), W), ((-1, 4), W), (NW, WW), ((-3, -1), W),
)  # fmt: skip
RUN = (
    (0, -1), (0, -2), (0, -3),
    (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (-1, 3),
    (-2, -1), (-2, 0), (-2, 1),
)  # fmt: skip
BREAK, CLEAN, UPPER, HINT, RECENT = 0, 1, 10, 18, 19
"""Among the tables behind the leaves'."""


def decode(payload: bytes, shape: tuple[int, int], many: int, tables: LabelTables) -> NDArray[np.uint8]:
    return _Decoder(payload, shape, many, tables).run()


class _State:
    """The rANS state over a payload."""

    def __init__(self, payload: bytes) -> None:
        head = 4 + len(payload) % 2
        self.x = int.from_bytes(payload[:head], "little")
        self.words = [int.from_bytes(payload[at : at + 2], "little") for at in range(head, len(payload), 2)][::-1]
        if len(payload) < head or self.x < (1 << 24 if head == 4 else 1 << 32):
            raise PayloadUndecodable("no state, or one with a leading zero")

    def take(self, start: int, frequency: int) -> None:
        self.x = frequency * (self.x >> 16) + (self.x & 0xFFFF) - start
        if self.x < 1 << 24:
            if not self.words:
                raise PayloadUndecodable("no words left")
            self.x = self.x << 16 | self.words.pop()

    def entry(self, frequencies: list[int]) -> int:
        start = 0
        for index, frequency in enumerate(frequencies):
            if self.x & 0xFFFF < start + frequency:
                self.take(start, frequency)
                return index
            start += frequency
        raise AssertionError("a table that does not sum to 65536")


class _Decoder:
    def __init__(self, payload: bytes, shape: tuple[int, int], many: int, tables: LabelTables) -> None:
        self.state = _State(payload)
        self.height, self.width = shape
        self.rows: list[list[int]] = [[] for _ in range(self.height)]
        self.recent = list(range(many))
        which = self.uniform(8)
        if which >= len(tables.sets):
            raise PayloadUndecodable("no such set")
        self.set: LabelTableSet = tables.sets[which]

    def run(self) -> NDArray[np.uint8]:
        for y in range(self.height):
            while len(self.rows[y]) < self.width:
                self.advance(y, len(self.rows[y]))
        if self.state.x != 1 << 24 or self.state.words:
            raise PayloadUndecodable("a wrong end")
        return np.array(self.rows, dtype=np.uint8)

    def advance(self, y: int, x: int) -> None:
        west = self.at(y, x - 1)
        n = self.run_length(y, x, west)
        if n == 0:
            self.rows[y].append(self.label(y, x, self.leaf(y, x)))
            return
        if self.own(CLEAN + n.bit_length() - 1) == 0:
            self.rows[y] += [west] * n
            return
        while n > 1:
            half = (n + 1) // 2
            if self.own(UPPER + n.bit_length() - 2):
                self.rows[y] += [west] * half
                n -= half
            else:
                n = half
        x = len(self.rows[y])
        label = self.label(y, x, len(self.set.depths) + BREAK)
        if label == west:
            raise PayloadUndecodable("a run that its own label breaks")
        self.rows[y].append(label)

    def run_length(self, y: int, x: int, west: int) -> int:
        n = 0
        while n < min(256, self.width - x):
            # the row's own pixels count as the run's label from x on
            near = [west if dy == 0 and dx + n >= 0 else self.at(y + dy, x + n + dx) for dy, dx in RUN]
            if near != [west] * len(RUN):
                break
            n += 1
        return n

    def at(self, y: int, x: int) -> int:
        if y < 0:
            return 0
        if x < 0:
            return self.at(y - 1, 0)
        return self.rows[y][min(x, self.width - 1)]

    def leaf(self, y: int, x: int) -> int:
        context = 0
        for (dy, dx), (ey, ex) in TESTS:
            context = 2 * context + int(self.at(y + dy, x + dx) == self.at(y + ey, x + ex))
        covered = 0
        for index, depth in enumerate(self.set.depths.tolist()):
            covered += 1 << (14 - depth)
            if context < covered:
                return index
        raise AssertionError("a tree that does not cover its contexts")

    def label(self, y: int, x: int, table: int) -> int:
        ranked = list(dict.fromkeys(self.at(y + dy, x + dx) for dy, dx in RANKED))[:7]
        entry = self.entry(table)
        if entry < 7:
            if entry >= len(ranked):
                raise PayloadUndecodable("no such rank")
            return ranked[entry]
        return self.escaped(y, x, set(ranked))

    def escaped(self, y: int, x: int, known: set[int]) -> int:
        above = [self.at(y - 1, at) for at in range(x + 5, min(x + 64, self.width))]
        hint = next((label for label in above if label not in known), None)
        if hint is not None:
            if self.own(HINT) == 0:
                return hint
            known |= {hint}
        left = [label for label in self.recent if label not in known]
        if not left:
            raise PayloadUndecodable("no label is left")
        age = self.own(RECENT)
        if age == 7:
            if len(left) <= 7:
                raise PayloadUndecodable("no label is that old")
            age += self.uniform(len(left) - 7)
        if age >= len(left):
            raise PayloadUndecodable("no label is that old")
        self.recent.remove(left[age])
        self.recent.insert(0, left[age])
        return left[age]

    def own(self, index: int) -> int:
        return self.entry(len(self.set.depths) + index)

    def entry(self, table: int) -> int:
        return self.state.entry(self.set.frequencies[table].tolist())

    def uniform(self, many: int) -> int:
        if many == 1:
            return 0
        frequency = 65536 // many
        which = (self.state.x & 0xFFFF) // frequency
        if which >= many:
            raise PayloadUndecodable("beyond equal chances")
        self.state.take(which * frequency, frequency)
        return which
