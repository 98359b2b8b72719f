"""What the operator orders of the autoscaler: the record under ``narrows:{scale}:command``."""

from __future__ import annotations

import json
from dataclasses import dataclass

from narrows.errors import RecordError

MAX_ORDER_BYTES = 1024
MAX_SERVERS = 10_000
MAX_WHO_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class ScaleOrder:
    """The standing order; without a record the autoscaler decides alone.

    Attributes:
        servers: how many servers there shall be, 0 to 10 000; ``None`` leaves it to the policy.
        frozen: nothing shall be changed.
        who: who ordered last.
        at_ms: when, by Redis' clock, Unix milliseconds.
    """

    servers: int | None = None
    frozen: bool = False
    who: str = ""
    at_ms: int = 0

    def to_json(self) -> bytes:
        """Serialise."""
        fields = {"servers": self.servers, "frozen": self.frozen, "who": self.who, "at_ms": self.at_ms}
        return json.dumps({"v": 1} | fields, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> ScaleOrder:
        """Read a record, whatever the bytes; unknown fields are ignored.

        Raises:
            RecordError: too long, no JSON object, another version, or a field out of its range.
        """
        if len(data) > MAX_ORDER_BYTES:
            raise RecordError(f"a scale order of {len(data)} bytes; at most {MAX_ORDER_BYTES} are read")
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"a scale order is no JSON: {error}") from None
        if not isinstance(raw, dict) or raw.get("v") != 1:
            raise RecordError("a scale order must be a JSON object with v = 1")
        return cls(
            servers=_servers(raw.get("servers")),
            frozen=_flag(raw.get("frozen", False)),
            who=_who(raw.get("who", "")),
            at_ms=_at_ms(raw.get("at_ms", 0)),
        )


def parse_target(text: str) -> int | None:
    """The N of ``narrows scale set N``; ``None`` for ``auto``.

    Raises:
        RecordError: it is neither.
    """
    if text.strip().lower() == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise RecordError(f"{text[:40]!r} servers: give a whole number from 0 to {MAX_SERVERS}, or auto")
    return _servers(int(text))


def _servers(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_SERVERS:
        raise RecordError(
            f"scale order: servers is {value!r}; it is a whole number from 0 to {MAX_SERVERS}, or nothing"
        )
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise RecordError(f"scale order: frozen is {value!r}; it is true or false")
    return value


def _who(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_WHO_CHARACTERS:
        raise RecordError(f"scale order: who is {str(value)[:40]!r}; it is a text of at most {MAX_WHO_CHARACTERS}")
    return value


def _at_ms(value: object) -> int:
    if type(value) is not int or value < 0:
        raise RecordError(f"scale order: at_ms is {value!r}; it is a whole number from 0")
    return value
