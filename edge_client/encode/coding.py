"""From a latent to the packet that crosses the uplink.

::

    latent ─ quantise ─► symbols ─┬─ encode as K ──────────┐
                                  ├─ encode given memory ──┴─► the smaller ─► packet
                                  └─► remember ─► memory ─┘
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import Memory, encode_symbols, quantise, remember, symbol_digest
from narrows.contract.wire import Control, FeaturePacket, FrameIdentity, PacketKind


@dataclass(frozen=True, slots=True)
class Chain:
    """What the next P packet is coded after: the newest packet, its memory ``(C, h, w)``, when the last K was coded."""

    packet: FeaturePacket
    memory: Memory
    key_s: float


def symbols_of(bundle: Bundle, latent: NDArray[np.float32], level: int) -> NDArray[np.int8]:
    """The symbols ``(C, h, w)`` int8 of a latent ``(C, h, w)`` float32 at a rate level."""
    return bundle.tables.silence(quantise(latent, bundle.gains[level]), level)


class FrameCoder:
    """Quantises and entropy-codes latents with one bundle: a K every ``key_period_s``, smaller P packets between.

    A K comes sooner where one is asked for, the level changes, a frame is missing before this one, or a P were larger.
    """

    def __init__(self, bundle: Bundle, key_period_s: float = 0.0) -> None:
        """``key_period_s`` of 0: every packet is a K, as with a bundle that has no tables for P."""
        self.bundle = bundle
        self._key_period_s = key_period_s if bundle.tables.predicted else 0.0
        self._chain: Chain | None = None

    def packet(
        self,
        latent: NDArray[np.float32],
        level: int,
        identity: FrameIdentity,
        capture_ms: int,
        now_s: float = 0.0,
        *,
        key_wanted: bool = False,
    ) -> FeaturePacket:
        """The next packet, of a latent ``(C, h, w)`` float32 at a rate level.

        Args:
            latent: of the frame that was taken after the last one that came here.
            level: the rate level.
            identity: the frame's.
            capture_ms: when it was taken, Unix milliseconds.
            now_s: by any clock that does not jump; decides when a K is due.
            key_wanted: the packet must be a K.
        """
        tables = self.bundle.tables
        symbols = symbols_of(self.bundle, latent, level)
        chain = None if key_wanted else self._unbroken(level, identity, now_s)
        packet = FeaturePacket(
            bundle_id=self.bundle.id,
            epoch=identity.epoch,
            sequence=identity.sequence,
            capture_ms=capture_ms,
            level=level,
            shape=self.bundle.manifest.latent,
            own_digest=symbol_digest(symbols),
            payload=encode_symbols(symbols, tables, level),
            kind=PacketKind.KEY,
        )
        predicted = None if chain is None else self._predicted(symbols, packet, chain)
        if chain is None or predicted is None:
            self._chain = Chain(packet, remember(symbols), now_s)
            return packet
        self._chain = Chain(predicted, remember(symbols, chain.memory), chain.key_s)
        return predicted

    def _unbroken(self, level: int, identity: FrameIdentity, now_s: float) -> Chain | None:
        """What this frame may be coded after, if it need not be a K."""
        chain = self._chain
        if chain is None or now_s - chain.key_s >= self._key_period_s or level != chain.packet.level:
            return None
        before = FrameIdentity(identity.epoch, identity.sequence - 1)
        return chain if chain.packet.identity == before else None

    def _predicted(self, symbols: NDArray[np.int8], key: FeaturePacket, chain: Chain) -> FeaturePacket | None:
        """The packet as P, if it is smaller than as K."""
        payload = encode_symbols(symbols, self.bundle.tables, key.level, chain.memory)
        if len(payload) >= len(key.payload):
            return None
        return replace(
            key,
            payload=payload,
            kind=PacketKind.PREDICTED,
            reference_distance=1,
            reference_digest=chain.packet.own_digest,
        )


class KeyframeTriggers:
    """What asks for a K, by control record or by a gap in the camera's stream: each new count is met once."""

    def __init__(self) -> None:
        self._seen = self._session = 0

    def new(self, control: Control | None, session: int = 0) -> bool:
        """Whether a K is asked for that was not before.

        Args:
            control: a record with its count of requests; no record asks for nothing.
            session: the frame's :attr:`~edge_client.capture.sources.Frame.session`; behind a gap another scene begins.
        """
        resumed, self._session = session != self._session, session
        if control is None or control.key_request == self._seen:
            return resumed
        self._seen = control.key_request
        return True
