"""Decoding packets here, without Redis or Triton: the same bytes, the same decoder graph, ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.bundle import Bundle
from narrows.codec import decode_symbols, symbol_digest
from narrows.errors import DigestMismatch
from narrows.onnx_runtime import InferenceSession, SessionOptions
from narrows.wire import FeaturePacket


class InProcessDecoder:
    """Packets to label maps. A packet that cannot be decoded raises the named error that a dispatcher would count.

    ``decoder`` is another graph than the bundle's float decoder: its int8 twin.
    """

    def __init__(self, bundle: Bundle, decoder: Path | None = None) -> None:
        self._bundle = bundle
        options = SessionOptions()
        options.intra_op_num_threads = 1
        self._session = InferenceSession(decoder or bundle.decoder_path, options, providers=["CPUExecutionProvider"])

    def __call__(self, packets: Iterable[bytes]) -> Iterator[NDArray[np.uint8]]:
        """Decode one by one, in order."""
        for data in packets:
            packet = FeaturePacket.parse(data)
            self._bundle.check(packet)
            symbols = decode_symbols(packet.payload, packet.shape.as_tuple(), self._bundle.tables, packet.level)
            if symbol_digest(symbols) != packet.own_digest:
                raise DigestMismatch(f"frame {packet.identity} decoded to other symbols than were coded")
            feed = {"symbols": symbols[None], "level": np.array([[packet.level]], dtype=np.int32)}
            labels: NDArray[np.uint8] = self._session.run(None, feed)[0][0]
            yield labels
