"""The nodes of a Redis Cluster in the simulator: who serves which slots, and how long a handshake waits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOBODY = -1
Indices = NDArray[np.intp]
Floats = NDArray[np.floating]
Booleans = NDArray[np.bool_]


class Nodes:
    """``masters`` nodes, and after them one replica of each in the next zone; a node's number is its place.

    Attributes:
        serving: for each master's slots the node that serves them, or :data:`NOBODY`.
        alive: by node.
        zone: by node.
        handshakes: how many each was asked for, ever.
    """

    def __init__(self, masters: int, zones: int, connect_s: float, busy: Floats) -> None:
        """``busy``: share of each master's core that frames take, where all is well."""
        home = np.arange(masters) % zones
        self.masters = masters
        self.serving = np.arange(masters)
        self.alive = np.ones(2 * masters, bool)
        self.zone = np.concatenate([home, (home + 1) % zones])
        self.handshakes = np.zeros(2 * masters, np.int64)
        self._connect_s, self._busy = connect_s, busy
        self._waiting_s = np.zeros(2 * masters)

    def step(self, step_s: float) -> None:
        """Do the work of a step: frames first, handshakes with what is left."""
        frames = np.zeros(2 * self.masters)
        served = self.serving != NOBODY
        np.add.at(frames, self.serving[served], self._busy[served])
        free = np.maximum(0.05, 1 - frames)  # the loop turns to each client: none is starved
        self._waiting_s = np.where(self.alive, np.maximum(0.0, self._waiting_s - step_s * free), 0.0)

    def shake_hands(self, at: Indices) -> Floats:
        """Handshakes with these nodes, in this order: in how many seconds each is done; infinite at a dead one."""
        order = np.argsort(at, kind="stable")
        sorted_at = at[order]
        first = np.searchsorted(sorted_at, sorted_at)
        place = np.empty(len(at))
        place[order] = np.arange(len(at)) - first + 1
        done_s = np.where(self.alive[at], self._waiting_s[at] + place * self._connect_s, np.inf)
        asked = np.bincount(at[self.alive[at]], minlength=len(self.alive))
        self._waiting_s += asked * self._connect_s
        self.handshakes += asked
        return done_s
