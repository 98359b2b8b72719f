"""The cameras' connections in the simulator: lost, tried again as the product does, renewed, led to another node.

Each camera that waits has the product's own :class:`~narrows.runtime.backoff.Backoff`; its limits are imported
from where cameras have them. What happens to many at the same time is one operation on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import count

import numpy as np

from benchmarks.fleet.nodes import NOBODY, Booleans, Floats, Indices, Nodes
from edge_client.transport.link import AWAY_S, CONNECT_S
from edge_client.transport.uplink import LONGEST_CONNECTION_S
from narrows.runtime.backoff import Backoff, jitter
from narrows.runtime.redis.cluster_client import QUICK_CONNECT_S


class State(IntEnum):
    """Of a camera's connection."""

    LINKED = 0
    """Packets are taken, or it is not known yet that they are not."""
    WAITING = 1
    """Between two tries."""
    CONNECTING = 2
    """A try is under way."""


@dataclass(frozen=True, slots=True)
class ReconnectRules:
    """How cameras connect again; the defaults are the product's.

    Attributes:
        ask_anybody: the map of slots is asked of a member that is drawn, and no silent one waited for long; else of the
            first one.
        renew_apart: connections are renewed at times that are drawn, else when they are as old as they may get.
    """

    ask_anybody: bool = True
    renew_apart: bool = True


class Links:
    """Every camera's connection.

    Attributes:
        at: the node that each is connected to.
        connected: connections that were made in the last step, renewals included.
    """

    def __init__(
        self, nodes: Nodes, master: Indices, period_s: float, chance: np.random.Generator, rules: ReconnectRules
    ) -> None:
        """``master``: for each camera, whose slots its shard lies in; ``period_s``: between its packets."""
        cameras = len(master)
        self.at = nodes.serving[master].copy()
        self.connected = 0
        self._nodes, self._master, self._period_s, self._chance = nodes, master, period_s, chance
        self._rules = rules
        self._state = np.full(cameras, State.LINKED)
        self._next_s = chance.uniform(0, LONGEST_CONNECTION_S, cameras)
        self._to = np.full(cameras, NOBODY)
        self._failing = np.zeros(cameras, bool)
        self._backoffs: dict[int, Backoff] = {}

    def flowing(self) -> Booleans:
        """Which cameras' packets are taken now."""
        at_home = self.at == self._nodes.serving[self._master]
        return np.asarray((self._state == State.LINKED) & at_home & ~self._failing)

    def dead(self, nodes: Indices, now_s: float) -> None:
        """Machines are gone without a word: what is sent stays unanswered until the connection is given up."""
        self._will_fail(np.isin(self.at, nodes) & (self._state == State.LINKED), now_s + AWAY_S)

    def moved(self, masters: Indices, now_s: float) -> None:
        """Slots have another node now: the old one answers the next packet with MOVED."""
        self._will_fail(np.isin(self._master, masters) & (self._state == State.LINKED), now_s)

    def step(self, now_s: float) -> None:
        """Let happen what is due."""
        self.connected = 0
        due = np.flatnonzero(self._next_s <= now_s)
        if not len(due):
            return
        state = self._state[due]
        failing = self._failing[due]
        self._end_try(due[state == State.CONNECTING], now_s)
        self._wait(due[(state == State.LINKED) & failing], now_s)
        self._renew(due[(state == State.LINKED) & ~failing], now_s)
        self._try(due[state == State.WAITING], now_s)

    def _will_fail(self, which: Booleans, from_s: float) -> None:
        self._failing |= which
        self._next_s[which] = from_s + self._chance.uniform(0, self._period_s, int(which.sum()))

    def _wait(self, cameras: Indices, now_s: float) -> None:
        self._state[cameras], self._failing[cameras] = State.WAITING, False
        backoffs = self._backoffs
        delays_s = [backoffs.setdefault(camera, Backoff()).next_delay_s() for camera in cameras.tolist()]
        self._next_s[cameras] = now_s + np.array(delays_s, float)

    def _renew(self, cameras: Indices, now_s: float) -> None:
        """A new connection beside the old one, which is left when the new one stands: no packet waits."""
        if len(cameras):
            self._asked_for_map(cameras)
            self._nodes.shake_hands(self.at[cameras])
            self._linked(cameras, now_s)

    def _try(self, cameras: Indices, now_s: float) -> None:
        if not len(cameras):
            return
        asked_s = self._asked_for_map(cameras)
        target = self._nodes.serving[self._master[cameras]]
        known = target != NOBODY
        done_s = np.full(len(cameras), np.inf)
        done_s[known] = self._nodes.shake_hands(target[known])
        good = done_s <= CONNECT_S
        self._to[cameras] = np.where(good, target, NOBODY)
        self._state[cameras] = State.CONNECTING
        self._next_s[cameras] = now_s + asked_s + np.minimum(done_s, CONNECT_S)

    def _end_try(self, cameras: Indices, now_s: float) -> None:
        good = (self._to[cameras] != NOBODY) & (self._to[cameras] == self._nodes.serving[self._master[cameras]])
        self._wait(cameras[~good], now_s)
        linked = cameras[good]
        self.at[linked] = self._to[linked]
        self._linked(linked, now_s)

    def _linked(self, cameras: Indices, now_s: float) -> None:
        self._state[cameras] = State.LINKED
        lives = [jitter() if self._rules.renew_apart else 1.0 for _ in range(len(cameras))]
        self._next_s[cameras] = now_s + LONGEST_CONNECTION_S * np.array(lives, float)
        self.connected += len(cameras)
        for camera in cameras.tolist():
            self._backoffs.pop(camera, None)

    def _asked_for_map(self, cameras: Indices) -> Floats:
        """Ask any node which one serves; how long that took. A dead one costs the time that connecting may take."""
        took_s = np.zeros(len(cameras))
        left = np.arange(len(cameras))
        quick_s = QUICK_CONNECT_S if self._rules.ask_anybody else CONNECT_S
        for number in count():
            if not len(left):
                break
            answered_s = self._nodes.shake_hands(self._whom_to_ask(len(left), number))
            good = answered_s <= CONNECT_S
            took_s[left] += np.where(good, answered_s, np.where(answered_s < np.inf, CONNECT_S, quick_s))
            left = left[~good]
        return took_s

    def _whom_to_ask(self, cameras: int, number: int) -> Indices:
        if not self._rules.ask_anybody:
            return np.full(cameras, self._nodes.serving[number % self._nodes.masters])
        return self._chance.integers(0, 2 * self._nodes.masters, cameras)
