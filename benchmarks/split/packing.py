"""How DynO packs what crosses, beside our coder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from narrows.contract.codec.tensor_quantiser import Symbols
from narrows.models.split.design import Rounding


def packings(rounding: Rounding, symbols: Mapping[str, Symbols]) -> tuple[bytes, bytes]:
    """What LZ4 is given: the bits of one significance side by side, as in the paper; and a symbol a byte."""
    planes, loose = [], []
    for name, quantiser in rounding.quantisers.items():
        unsigned = (symbols[name] - quantiser.least[:, None, None]).astype(np.uint32).ravel()
        width = int(unsigned.max(initial=1)).bit_length()
        planes += [np.packbits(((unsigned >> bit) & 1).astype(np.uint8)).tobytes() for bit in range(width)]
        loose.append(unsigned.astype(np.uint8).tobytes())
    return b"".join(planes), b"".join(loose)
