"""How a frame ends without a mask: skipped by policy, or refused for a named reason.

Every entry of an ``out`` stream has a kind (field ``k``: ``mask``, ``skipped`` or ``refused``) and a body
(field ``p``): a mask packet, or one of these as JSON. Specified in ``docs/wire-format.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from narrows.errors import RecordError
from narrows.wire.feature import FrameIdentity

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


def outcome_to_json(outcome: Skip | Refusal) -> bytes:
    """The JSON body of an ``out`` entry; a detail is cut to its first 1000 characters."""
    identity = outcome.identity
    record: dict[str, object] = {"reason": outcome.reason}
    if isinstance(outcome, Refusal):
        record["detail"] = outcome.detail[:MAX_DETAIL_CHARACTERS]
    if identity is not None:
        record |= {"epoch": identity.epoch, "sequence": identity.sequence}
    return json.dumps(record, separators=(",", ":")).encode()


def outcome_from_json(kind: bytes, body: bytes) -> Skip | Refusal:
    """Parse what :func:`outcome_to_json` wrote; unknown fields are ignored.

    Raises:
        RecordError: the body is not of that form.
    """
    if len(body) > MAX_OUTCOME_BYTES:
        raise RecordError(f"an outcome of {len(body)} bytes; at most {MAX_OUTCOME_BYTES} are read")
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"an outcome of kind {kind!r} is no JSON: {error}") from None
    if not isinstance(raw, dict):
        raise RecordError(f"an outcome of kind {kind!r} is no JSON object")
    reason, detail, identity = raw.get("reason"), raw.get("detail", ""), _identity(raw)
    if not isinstance(reason, str) or not isinstance(detail, str):
        raise RecordError(f"an outcome of kind {kind!r} has no text as its reason or detail")
    if kind == SKIPPED and identity is not None:
        return Skip(identity, reason)
    if kind == REFUSED:
        return Refusal(reason, detail, identity)
    raise RecordError(f"an outcome of kind {kind!r} cannot be read: unknown kind, or no identity")


def _identity(raw: dict[str, object]) -> FrameIdentity | None:
    epoch, sequence = raw.get("epoch"), raw.get("sequence")
    if epoch is None and sequence is None:
        return None
    if type(epoch) is not int or type(sequence) is not int or not (0 <= epoch < 1 << 64 and 0 <= sequence < 1 << 32):
        raise RecordError("an outcome's epoch and sequence are whole numbers of 64 and 32 bits, or both absent")
    return FrameIdentity(epoch, sequence)
