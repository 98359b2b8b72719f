"""Where an array's values lie, however the array came to be."""

import numpy as np
import pytest
from numpy.typing import NDArray

from narrows.contract.codec.kernel import address_of

BYTES = np.arange(24, dtype=np.int8).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "array",
    [BYTES, BYTES[1], np.frombuffer(bytes(8), np.uint16), np.empty(0, np.uint32), np.zeros((2, 2), np.int16)],
    ids=["whole", "a part", "read only", "empty", "wider"],
)
def test_an_address_is_that_of_the_first_value(array: NDArray[np.generic]) -> None:
    assert address_of(array) == array.ctypes.data
