"""What the cloud knows of a stream: policy, weight, group and the bundle it is held to."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum

from narrows.errors import RecordError

MAX_SETTINGS_BYTES = 4096
MAX_WEIGHT = 1000.0
MAX_STALE_MS = 3_600_000
MAX_GROUP_CHARACTERS = 64
_BUNDLE_ID = re.compile(r"[0-9a-fA-F]{16}")


class Policy(StrEnum):
    """What to do when frames come faster than they can be decoded."""

    REALTIME = "realtime"
    """Freshness: stale frames skip the network and are counted."""
    COMPLETE = "complete"
    """Completeness: every frame ends in a mask, however late."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Settings of one stream; an unregistered stream has the defaults.

    Attributes:
        policy: freshness or completeness.
        weight: share of decoding under overload, relative to other streams, above 0 and at most 1000.
        group: label that dashboards sum by, 1-64 printable characters.
        bundle: hexadecimal bundle id that packets must name; ``None`` takes any that is served.
        stale_ms: a realtime frame older than this skips the network; 1 to 3 600 000.
        refuse_future_clock: refuse frames captured ahead of the server's clock, instead of counting them.
    """

    policy: Policy = Policy.REALTIME
    weight: float = 1.0
    group: str = "default"
    bundle: str | None = None
    stale_ms: int = 500
    refuse_future_clock: bool = False

    def to_json(self) -> bytes:
        """Serialise."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> StreamSettings:
        """Read a record; fields that it leaves out have their defaults.

        Raises:
            RecordError: no JSON object, an unknown field, or a value out of its range.
        """
        if len(data) > MAX_SETTINGS_BYTES:
            raise RecordError(f"stream settings of {len(data)} bytes; at most {MAX_SETTINGS_BYTES} are read")
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"stream settings are no JSON: {error}") from None
        if not isinstance(raw, dict):
            raise RecordError("stream settings must be a JSON object")
        if unknown := sorted(set(raw) - set(cls.__slots__)):
            raise RecordError(
                f"stream settings: {unknown[0][:80]!r} is no setting; there are {', '.join(cls.__slots__)}"
            )
        default = cls()
        return cls(
            policy=_policy(raw.get("policy", default.policy)),
            weight=_weight(raw.get("weight", default.weight)),
            group=_group(raw.get("group", default.group)),
            bundle=_bundle(raw.get("bundle")),
            stale_ms=_stale_ms(raw.get("stale_ms", default.stale_ms)),
            refuse_future_clock=_flag("refuse_future_clock", raw.get("refuse_future_clock", False)),
        )


def _policy(value: object) -> Policy:
    if not isinstance(value, str) or value not in Policy.__members__.values():
        raise RecordError(f"stream policy {value!r}: it is one of {', '.join(Policy)}")
    return Policy(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RecordError(f"stream {name} is {value!r}; it is true or false")
    return value


def _weight(value: object) -> float:
    if type(value) not in (int, float) or not 0 < value <= MAX_WEIGHT:  # type: ignore[operator]
        raise RecordError(f"stream weight {value!r}: it lies above 0 and at most at {MAX_WEIGHT:g}")
    return float(value)  # type: ignore[arg-type]


def _group(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_GROUP_CHARACTERS or not value.isprintable():
        raise RecordError(f"stream group {value!r}: it has 1 to {MAX_GROUP_CHARACTERS} printable characters")
    return value


def _bundle(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _BUNDLE_ID.fullmatch(value):
        raise RecordError(f"stream bundle {value!r}: 16 hexadecimal digits are expected")
    return value.lower()


def _stale_ms(value: object) -> int:
    if type(value) is not int or not 0 < value <= MAX_STALE_MS:
        raise RecordError(f"stream stale_ms {value!r}: it is a whole number from 1 to {MAX_STALE_MS}")
    return value
