"""What all reference caches of a process take together, and which reference goes when that is too much."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable

Forget = Callable[[], None]


def _nothing() -> None:
    """For who counts no references that were forgotten."""


class ReferenceMemory:
    """Bytes of references, and the order in which they were taken in, whichever streams' they are.

    Beyond the bound the oldest go first: the next P packet of a camera that sends is coded against one of the newest.
    The last one stays, however large.

    Attributes:
        used_bytes: of all that are kept, about.
    """

    def __init__(self, most_bytes: float, forgotten: Callable[[], None] = _nothing) -> None:
        """``forgotten`` is told of each that went for lack of room."""
        self.used_bytes = 0
        self._most_bytes, self._forgotten = most_bytes, forgotten
        self._kept: OrderedDict[Hashable, tuple[int, Forget]] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def take_in(self, reference: Hashable, size_bytes: int, forget: Forget) -> None:
        """Count one more; ``forget`` is called where it is to go, and need not release it."""
        self._kept[reference] = size_bytes, forget
        self.used_bytes += size_bytes
        while self.used_bytes > self._most_bytes and len(self._kept) > 1:
            _, (size, forget_oldest) = self._kept.popitem(last=False)
            self.used_bytes -= size
            forget_oldest()
            self._forgotten()

    def release(self, references: Iterable[Hashable]) -> None:
        """These are kept no longer, if they were."""
        for reference in references:
            size, _ = self._kept.pop(reference, (0, _nothing))
            self.used_bytes -= size
