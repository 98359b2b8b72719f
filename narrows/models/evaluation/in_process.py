"""Decoding packets here, without Redis or Triton: the same bytes, the graph that Triton runs on a CPU, ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import Memory, decode_symbols, remember, symbol_digest
from narrows.contract.errors import DigestMismatch
from narrows.contract.wire import FeaturePacket, PacketKind
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions


class InProcessDecoder:
    """Packets of one stream to label maps. One that cannot be decoded raises the error that a dispatcher would count.

    ``decoder`` is another graph than the one that Triton would run on a processor.
    """

    def __init__(self, bundle: Bundle, decoder: Path | None = None) -> None:
        self._bundle, self._published = bundle, bundle.manifest.outputs[0].name
        options = SessionOptions()
        options.intra_op_num_threads = 1
        self._session = InferenceSession(
            decoder or bundle.cpu_decoder_path, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, packets: Iterable[bytes]) -> Iterator[NDArray[np.uint8]]:
        """Decode one by one, in order: a P after the packet that it was coded against."""
        newest: Memory | None = None
        for data in packets:
            packet = FeaturePacket.parse(data)
            self._bundle.check(packet)
            shape, memory = packet.shape.as_tuple(), newest if packet.kind is PacketKind.PREDICTED else None
            symbols = decode_symbols(packet.payload, shape, self._bundle.tables, packet.level, memory)
            newest = remember(symbols, memory)
            if symbol_digest(symbols) != packet.own_digest:
                raise DigestMismatch(f"frame {packet.identity} decoded to other symbols than were coded")
            feed = {"symbols": symbols[None], "level": np.array([[packet.level]], dtype=np.int32)}
            labels: NDArray[np.uint8] = self._session.run([self._published], feed)[0][0]
            yield labels
