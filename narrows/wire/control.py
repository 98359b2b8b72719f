"""Control: the one small record that flows towards a camera. It expires by Redis TTL; absent means "decide alone"."""

from __future__ import annotations

import json
from dataclasses import dataclass

from narrows.errors import RecordError

MAX_CONTROL_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Control:
    """What a camera is asked to do; ``None`` leaves a choice to the camera.

    Attributes:
        level: rate level to code at.
        frames_per_s: frame rate not to exceed, above 0 and at most 240.
        cut: where to split the network.
        key_request: counts up whenever a K packet is wanted; a camera sends one when it sees a new value.
    """

    level: int | None = None
    frames_per_s: float | None = None
    cut: int | None = None
    key_request: int = 0

    def to_json(self) -> bytes:
        """Serialise, leaving out what is not asked for."""
        fields = {"level": self.level, "frames_per_s": self.frames_per_s, "cut": self.cut}
        asked: dict[str, object] = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(asked | {"v": 1, "key_request": self.key_request}, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> Control:
        """Read a record, whatever the bytes; unknown fields are ignored, so that the cloud may be newer.

        Raises:
            RecordError: too long, no JSON object, another version, or a field out of its range.
        """
        if len(data) > MAX_CONTROL_BYTES:
            raise RecordError(f"a control record of {len(data)} bytes; at most {MAX_CONTROL_BYTES} are read")
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"a control record is no JSON: {error}") from None
        if not isinstance(raw, dict) or raw.get("v") != 1:
            raise RecordError("a control record must be a JSON object with v = 1")
        rate = raw.get("frames_per_s")
        if rate is not None and not (type(rate) in (int, float) and 0 < rate <= 240):
            raise RecordError(f"control field frames_per_s is {rate!r}; it lies above 0 and at most at 240")
        return cls(
            level=_byte(raw, "level"),
            frames_per_s=None if rate is None else float(rate),
            cut=_byte(raw, "cut"),
            key_request=_whole(raw, "key_request", 0xFFFFFFFF) or 0,
        )


def _byte(raw: dict[str, object], name: str) -> int | None:
    return _whole(raw, name, 255)


def _whole(raw: dict[str, object], name: str, most: int) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= most:
        raise RecordError(f"control field {name} is {value!r}; it is a whole number from 0 to {most}")
    return value
