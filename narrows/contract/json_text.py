"""The one door for JSON: bytes become Python values, or a :class:`RecordError` that says what is wrong.

Whatever the bytes, nothing else is raised. Refused are more bytes than allowed, bytes that are no UTF-8 (RFC 8259,
section 8.1), an unpaired surrogate, which has none (section 8.2), NaN and infinities, numbers beyond a float or 64
bits, a key that stands twice (readers differ in which one counts; section 4), nesting that no parser can follow. What
is typed goes through :mod:`narrows.contract.wire.record`, which stands on this.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from narrows.contract.errors import RecordError

_SHOWN = 60
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape that is half of a letter, or a whole one with its neighbour."""
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


def decode_json(data: bytes, *, what: str, most_bytes: int) -> Any:  # noqa: ANN401 - JSON
    """Read any JSON.

    Args:
        data: what was read.
        what: what it is called in messages.
        most_bytes: longer ones are refused unread.

    Raises:
        RecordError: it is none, or too long.
    """
    if len(data) > most_bytes:
        raise RecordError(f"{what} of {len(data)} bytes; at most {most_bytes} are read")
    try:
        text = str(data, "utf-8")
        found = json.loads(text, object_pairs_hook=_checked)
        if _SURROGATE.search(text):
            _check_letters(found)
        if not isinstance(found, dict):
            _check_numbers("the whole", found)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{what} is no JSON: {error}") from None
    return found


def decode_object(data: bytes, *, what: str, most_bytes: int) -> dict[str, Any]:
    """Read a JSON object whose fields are read one by one.

    Raises:
        RecordError: too long, or no JSON object as :func:`decode_json` takes it.
    """
    found = decode_json(data, what=what, most_bytes=most_bytes)
    if not isinstance(found, dict):
        raise RecordError(f"{what} must be a JSON object")
    return found


def _checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"key {name[:_SHOWN]!r} stands twice")
        _check_numbers(repr(name[:_SHOWN]), value)
        found[name] = value
    return found


def _check_letters(found: Any) -> None:  # noqa: ANN401 - JSON
    """Whoever writes them to Redis or to a terminal would fail at them, later.

    Raises:
        ValueError: there is a surrogate without its other half.
    """
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("an unpaired surrogate is no letter") from None


def _check_numbers(place: str, value: Any) -> None:  # noqa: ANN401 - JSON
    """Objects within were checked when they were read.

    Raises:
        ValueError: a number that no float, or no 64 bits hold.
    """
    if isinstance(value, list):
        for each in value:
            _check_numbers(place, each)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place} is no finite number")
    elif isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise ValueError(f"{place} is beyond 64 bits")
