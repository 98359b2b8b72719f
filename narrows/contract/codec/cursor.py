"""Reading a byte string from front to back, never past its end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import BundleError


class ByteCursor:
    """A place in a tables file. Every read raises ``BundleError`` where the file ends too early."""

    def __init__(self, data: bytes, name: str = "a coding tables file") -> None:
        self._data = data
        self._name = name
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if size > len(self._data) - self._at:
            raise BundleError(f"{self._name} ends at byte {len(self._data)}, within a field of {size} bytes")
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        """The next unsigned byte."""
        return self.take(1)[0]

    def short(self) -> int:
        """The next unsigned 16-bit integer."""
        return int.from_bytes(self.take(2), "little")

    def bytes_array(self, *shape: int) -> NDArray[np.uint8]:
        """The next bytes as an array of that shape."""
        return np.frombuffer(self.take(int(np.prod(shape))), dtype=np.uint8).reshape(shape)

    def shorts_array(self, count: int) -> NDArray[np.uint16]:
        """The next ``count`` unsigned 16-bit integers."""
        return np.frombuffer(self.take(2 * count), dtype="<u2").astype(np.uint16)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            BundleError: something is.
        """
        if self._at != len(self._data):
            raise BundleError(f"{self._name} has {len(self._data) - self._at} bytes behind its end")
