"""The outermost point of what stands beside others: an error that nobody foresaw is told, and those beside it go on.

One mechanism for a frame, a batch, a call of the kernel and a round trip of ends. Who is told decides what becomes of
what failed. Cancellation passes. Loops have :mod:`narrows.runtime.loop_guard`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Outermost(Generic[T]):
    """Ends what is within it where an error does, and tells that.

    Example::

        with Outermost(frame, self._fail):
            ...  # an error here is the frame's alone
    """

    __slots__ = ("_of", "_tell")

    def __init__(self, of: T, tell: Callable[[T, Exception], None]) -> None:
        """``tell`` is told whose error it was, and the error."""
        self._of, self._tell = of, tell

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        """Tell an error; answers whether there was one."""
        if error is None or not isinstance(error, Exception):
            return False
        self._tell(self._of, error)
        return True
