"""When a dispatcher connects to its servers anew because a bundle's heads changed."""

from __future__ import annotations

import time
from collections.abc import Callable

from narrows.runtime.backoff import Backoff

FILLED_S = 2.0
"""After a change: who runs the servers looks every second, too, and has filled their model repository by then."""
FIRST_S, LONGEST_S = 10.0, 600.0
"""Between attempts: each has Triton try to load a model, and 2.51 crashes after a few that fail within a minute."""


class HeadRenewal:
    """Once for each change, and then again, more and more seldom, while servers answer with other heads.

    Attributes:
        again: the last attempt was not the first since the heads changed: by now no other dispatcher asks for a head
            that was removed, so servers may be asked to let it go.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.again = False
        self._clock, self._backoff = clock, Backoff(FIRST_S, LONGEST_S)
        self._changed = False
        self._at_s = clock() + self._backoff.next_delay_s()

    def changed(self) -> None:
        """The bundle lists other heads than before."""
        self._backoff.reset()
        self._changed, self.again = True, False
        self._at_s = self._clock() + FILLED_S

    def due(self, *, differ: bool) -> bool:
        """Whether to connect anew now; ask about once a second.

        Args:
            differ: a server answers with other heads than the bundle lists.
        """
        if not (self._changed or differ) or self._clock() < self._at_s:
            return False
        self.again, self._changed = not self._changed, False
        self._at_s = self._clock() + self._backoff.next_delay_s()
        return True
