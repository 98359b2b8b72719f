"""Typed JSON records: bytes become a frozen value, or a RecordError that names the field.

They come through the one door for JSON (:mod:`narrows.contract.json_text`). Beside what that refuses, so is whatever
does not fit the type, and an unpaired surrogate.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Self, TypeVar

import msgspec
from msgspec import Meta

from narrows.contract.errors import RecordError
from narrows.contract.json_text import decode_object

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""How many, or how much: a whole number that Redis can hold."""
UnixMs = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
"""Milliseconds since 1970; every reader of JSON holds them exactly (RFC 8259, section 6)."""
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
PerSecond = Annotated[float, Meta(ge=0, le=1e9)]
Ratio = Annotated[float, Meta(ge=0, le=1e9)]
"""A share; a load may lie above 1."""

_PLACE = re.compile(r"(?s)(.*) - at `\$\.?(.*)`")
_SHOWN = 60


class Record(msgspec.Struct, frozen=True):
    """A value with a JSON form. Its class's ``tag`` is the version, which it writes under ``v`` and demands of others.

    Fields that it does not know are ignored, so that a writer may be newer, unless the class forbids them.

    Attributes:
        what: what it is called in messages.
        most_bytes: longer ones are refused unread.
    """

    what: ClassVar[str] = "a record"
    most_bytes: ClassVar[int] = 1 << 16

    def to_json(self) -> bytes:
        """Serialise; a number that is none becomes ``null``."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a record, whatever the bytes.

        Raises:
            RecordError: too long, no JSON object, another version, or a field that is missing or out of its range.
        """
        return decode_record(data, cls, what=cls.what, most_bytes=cls.most_bytes)


def decode_record(data: bytes, kind: type[T], *, what: str, most_bytes: int) -> T:
    """Read JSON as a struct or dataclass.

    Raises:
        RecordError: see :meth:`Record.parse`.
    """
    raw = decode_object(data, what=what, most_bytes=most_bytes)
    _check_version(raw, kind, what)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"{what}: {_in_words(str(error), raw)}") from None


def _check_version(raw: dict[str, Any], kind: type, what: str) -> None:
    config = getattr(kind, "__struct_config__", None)
    if config is not None and config.tag is not None and raw.get(config.tag_field) != config.tag:
        found = repr(raw.get(config.tag_field))[:_SHOWN]
        raise RecordError(f"{what} of version {found}; this build reads {config.tag_field} = {config.tag}")


def _in_words(message: str, raw: dict[str, Any]) -> str:
    """Msgspec's words, with the field first, and what stood in it."""
    match = _PLACE.fullmatch(message)
    if match is None:
        return message
    problem, place = match.groups()
    if place in raw:
        return f"{place} is {repr(raw[place])[:_SHOWN]}: {problem}"
    return f"{place}: {problem}" if place else problem
