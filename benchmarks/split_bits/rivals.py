"""What others do with the same symbols: pack them in as many bits as the precision has, then LZ4 or zstd."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import lz4.frame
import numpy as np
import zstandard
from numpy.typing import NDArray

from narrows.contract.codec.tensor_quantiser import Symbols
from narrows.models.split.design import Rounding

_ZSTD = zstandard.ZstdCompressor(level=19)
COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "lz4": lambda data: lz4.frame.compress(data, compression_level=12, store_size=False),
    "zstd": _ZSTD.compress,
}


def packed(unsigned: NDArray[np.uint32], bits: int) -> bytes:
    """Most significant bit first."""
    shifts = np.arange(bits, dtype=np.uint32)[::-1]
    return np.packbits(((unsigned.reshape(-1, 1) >> shifts) & 1).astype(np.uint8)).tobytes()


def rival_bytes(rounding: Rounding, symbols: Mapping[str, Symbols]) -> Mapping[str, int]:
    """Bytes of a picture by each rival, its symbols packed tightly, and one to a byte: some prefer that."""
    tight, loose = b"", b""
    for name, quantiser in rounding.quantisers.items():
        unsigned = quantiser.unsigned(symbols[name])
        tight += packed(unsigned, int(unsigned.max(initial=1)).bit_length())
        loose += unsigned.astype(np.uint8 if rounding.bits <= 8 else np.uint16).tobytes()
    return {f"packed + {name}": len(compress(tight)) for name, compress in COMPRESSORS.items()} | {
        f"bytes + {name}": len(compress(loose)) for name, compress in COMPRESSORS.items()
    }
