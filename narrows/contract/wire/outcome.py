"""How a frame ends without a mask: skipped by policy, or refused for a named reason.

Every entry of an ``out`` stream has a kind (field ``k``: ``mask``, ``skipped`` or ``refused``) and a body
(field ``p``): a mask packet, or one of these as JSON. Specified in ``docs/wire-format.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from narrows.contract.errors import RecordError
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.record import Record

MASK, SKIPPED, REFUSED = b"mask", b"skipped", b"refused"
MAX_OUTCOME_BYTES = 8192
MAX_DETAIL_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Skip:
    """A valid frame that policy spared the network, with the reason (``stale``, ``overload``)."""

    identity: FrameIdentity
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A frame that could not be used. The identity is absent where the bytes did not yield one."""

    reason: str
    detail: str
    identity: FrameIdentity | None = None


class _Body(Record, frozen=True, omit_defaults=True):
    what: ClassVar[str] = "an outcome"
    most_bytes: ClassVar[int] = MAX_OUTCOME_BYTES

    reason: str
    detail: str | None = None
    epoch: Annotated[int, Meta(ge=0)] | None = None
    sequence: Annotated[int, Meta(ge=0, lt=1 << 32)] | None = None


def outcome_to_json(outcome: Skip | Refusal) -> bytes:
    """The JSON body of an ``out`` entry; a detail is cut to its first 1000 characters."""
    identity = outcome.identity
    epoch, sequence = (None, None) if identity is None else (identity.epoch, identity.sequence)
    detail = _encodable(outcome.detail[:MAX_DETAIL_CHARACTERS]) if isinstance(outcome, Refusal) else None
    return _Body(outcome.reason, detail, epoch, sequence).to_json()


def outcome_from_json(kind: bytes, body: bytes) -> Skip | Refusal:
    """Parse what :func:`outcome_to_json` wrote; unknown fields are ignored.

    Raises:
        RecordError: the body is not of that form.
    """
    found = _Body.parse(body)
    identity = _identity(found)
    if kind == SKIPPED and identity is not None:
        return Skip(identity, found.reason)
    if kind == REFUSED:
        return Refusal(found.reason, found.detail or "", identity)
    raise RecordError(f"an outcome of kind {kind!r} cannot be read: unknown kind, or no identity")


def _identity(body: _Body) -> FrameIdentity | None:
    if body.epoch is None and body.sequence is None:
        return None
    if body.epoch is None or body.sequence is None or body.epoch >= 1 << 64:
        raise RecordError("an outcome's epoch and sequence are whole numbers of 64 and 32 bits, or both absent")
    return FrameIdentity(body.epoch, body.sequence)


def _encodable(text: str) -> str:
    """Without unpaired surrogates, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()
