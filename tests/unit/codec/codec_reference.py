"""The decoder once more, from docs/symbol-coding.md alone: plain Python integers, one loop, no tables of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import CodingTables
from narrows.contract.errors import PayloadUndecodable

OFFSETS = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
TAPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1))


class State:
    """One rANS state over a payload."""

    def __init__(self, payload: bytes) -> None:
        head = 4 + len(payload) % 2
        if len(payload) < head:
            raise PayloadUndecodable("shorter than a state")
        self.x = int.from_bytes(payload[:head], "little")
        self.words = list(np.frombuffer(payload[head:], dtype="<u2"))[::-1]
        if self.x < (1 << 24 if head == 4 else 1 << 32):
            raise PayloadUndecodable("a state with a leading zero")

    def take(self, start: int, frequency: int) -> None:
        self.x = frequency * (self.x >> 16) + (self.x & 0xFFFF) - start
        if self.x < 1 << 24:
            if not self.words:
                raise PayloadUndecodable("no words left")
            self.x = self.x << 16 | int(self.words.pop())

    def entry(self, table: NDArray[np.uint16]) -> int:
        start = 0
        for index, frequency in enumerate(int(f) for f in table):
            if self.x & 0xFFFF < start + frequency:
                self.take(start, frequency)
                return index
            start += frequency
        raise AssertionError("a table that does not sum to 65536")

    def bit(self) -> int:
        bit = self.x >> 15 & 1
        self.take(bit * 32768, 32768)
        return bit


def decode(
    payload: bytes,
    shape: tuple[int, int, int],
    tables: CodingTables,
    level: int,
    memory: NDArray[np.int16] | None = None,
) -> NDArray[np.int8]:
    state, symbols, at = State(payload), np.zeros(shape, dtype=np.int64), tables.by_level[level]
    thresholds = tables.key if memory is None else tables.predict
    contexts = at.key if memory is None else at.predicted
    assert thresholds is not None
    assert contexts is not None
    for k, channel in enumerate(int(c) for c in at.channels):
        for y, x in np.ndindex(shape[1:]):
            near = [_at(symbols[channel], y + dy, x + dx) for dy, dx in OFFSETS]
            magnitude = sum(int(w) * abs(v) for w, v in zip(contexts.magnitude_weights[k][:6], near, strict=True))
            magnitude += sum(w * min(15, abs(int(symbols[p, y, x]))) for p, w in contexts.parents[k])
            sign = sum(int(w) * v for w, v in zip(contexts.sign_weights[k][:6], near, strict=True))
            if memory is not None:
                taps = [_at(memory[channel], y + dy, x + dx, 120) for dy, dx in TAPS]
                magnitude += (
                    sum(int(w) * abs(v) for w, v in zip(contexts.magnitude_weights[k][6:], taps, strict=True)) // 8
                )
                sign += sum(int(w) * v for w, v in zip(contexts.sign_weights[k][6:], taps, strict=True)) // 8
            strength = sum(min(abs(sign), 1023) >= t for t in thresholds.signs)
            middle = len(thresholds.signs)
            row = sum(min(magnitude, 1023) >= t for t in thresholds.magnitudes)
            bin_ = row * (2 * middle + 1) + middle + (strength if sign > 0 else -strength)
            entry = int(contexts.lookup[k, bin_])
            value = _value(state, at.frequencies[entry & 63])
            symbols[channel, y, x] = -value if entry & 128 else value
    if state.x != 1 << 24 or state.words:
        raise PayloadUndecodable("a wrong end")
    return symbols.astype(np.int8)


def remember(symbols: NDArray[np.int8], memory: NDArray[np.int16] | None) -> NDArray[np.int16]:
    """The memory after a frame, symbol by symbol."""
    after = symbols.astype(np.int16) * 8
    if memory is not None:
        for at in np.ndindex(symbols.shape):
            way = 8 * int(symbols[at]) - int(memory[at])
            after[at] = int(memory[at]) + (way + 1) // 2 if way > 0 else int(memory[at]) - (1 - way) // 2
    return after


def _at(plane: NDArray[np.int64] | NDArray[np.int16], y: int, x: int, most: int = 15) -> int:
    inside = 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]
    return max(-most, min(most, int(plane[y, x]))) if inside else 0


def _value(state: State, table: NDArray[np.uint16]) -> int:
    index = state.entry(table)
    escape = len(table) - 1
    if index == escape:
        most = 254 - escape
        longest = (most + 1).bit_length() - 1
        prefix = 0
        while prefix < longest and not state.bit():
            prefix += 1
        tail = 1
        for _ in range(prefix):
            tail = 2 * tail + state.bit()
        if tail - 1 > most:
            raise PayloadUndecodable("an escape beyond 127")
        index = escape + tail - 1
    return (index + 1) // 2 if index % 2 else -(index // 2)
