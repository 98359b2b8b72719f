"""The key that one camera seals with, and the file in which it travels to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from narrows.errors import SecretError, StreamIdInvalid
from narrows.wire.keys import check_stream_id

KEY_BYTES = 64
"""32 for the cipher, 32 for the masks of the digests."""
_MAX_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class CameraKey:
    """What a stream's packets are sealed with.

    Attributes:
        stream: the only stream that it is for.
        key_id: 1-255, the root that it was derived from.
        issued_ms: when, Unix milliseconds.
        secret: 64 bytes; never shown.
    """

    stream: str
    key_id: int
    issued_ms: int
    secret: bytes = field(repr=False)

    @property
    def cipher_secret(self) -> bytes:
        """The key of the cipher, 32 bytes."""
        return self.secret[:32]

    @property
    def digest_secret(self) -> bytes:
        """The key of the digests' masks, 32 bytes."""
        return self.secret[32:]

    def to_json(self) -> bytes:
        """What the camera's file holds."""
        fields = {"v": 1, "stream": self.stream, "key_id": self.key_id, "issued_ms": self.issued_ms}
        return json.dumps(fields | {"secret": self.secret.hex()}, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> CameraKey:
        """Read a key file, whatever the bytes; no message repeats them.

        Raises:
            SecretError: it is none.
        """
        if len(data) > _MAX_FILE_BYTES:
            raise SecretError(f"a key file has at most {_MAX_FILE_BYTES} bytes, this one {len(data)}")
        try:
            raw = json.loads(data)
            found = cls(
                check_stream_id(raw["stream"]),
                whole(raw, "key_id", 1, 255),
                whole(raw, "issued_ms", 0, (1 << 48) - 1),
                secret_bytes(raw, KEY_BYTES),
            )
        except (ValueError, RecursionError, KeyError, TypeError, StreamIdInvalid):
            raise SecretError("this is no camera's key: `narrows keys issue` writes one") from None
        if raw.get("v") != 1:
            raise SecretError("this key file is of another version than 1")
        return found


def whole(raw: dict[str, object], name: str, least: int, most: int) -> int:
    """A whole number of a record.

    Raises:
        KeyError, ValueError: there is none of that name, or not in that range.
    """
    value = raw[name]
    if type(value) is not int or not least <= value <= most:
        raise ValueError(name)
    return value


def secret_bytes(raw: dict[str, object], size: int) -> bytes:
    """The field ``secret``, in hexadecimal.

    Raises:
        KeyError, ValueError: there is none, or not of that size.
    """
    value = raw["secret"]
    secret = bytes.fromhex(value) if isinstance(value, str) else b""
    if len(secret) != size:
        raise ValueError("secret")
    return secret
