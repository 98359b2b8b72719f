"""The key that one camera seals with, and the file in which it travels to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from narrows.contract.errors import RecordError, SecretError, StreamIdInvalid
from narrows.contract.wire.keys import check_stream_id
from narrows.contract.wire.record import Record

KEY_BYTES = 64
"""32 for the cipher, 32 for the masks of the digests."""
MAX_KEY_ID = 255
KeyId = Annotated[int, Meta(ge=1, le=MAX_KEY_ID)]
KeyTime = Annotated[int, Meta(ge=0, lt=1 << 48)]


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
        found = _File(self.stream, self.key_id, self.issued_ms, self.secret.hex())
        return msgspec.json.format(found.to_json(), indent=1) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> CameraKey:
        """Read a key file, whatever the bytes; no message repeats them.

        Raises:
            SecretError: it is none.
        """
        try:
            found = _File.parse(data)
            return cls(check_stream_id(found.stream), found.key_id, found.issued_ms, bytes.fromhex(found.secret))
        except (RecordError, StreamIdInvalid):
            raise SecretError("this is no camera's key of version 1: `narrows keys issue` writes one") from None


class _File(Record, frozen=True, tag_field="v", tag=1):
    what: ClassVar[str] = "a camera's key"
    most_bytes: ClassVar[int] = 4096

    stream: str
    key_id: KeyId
    issued_ms: KeyTime
    secret: Annotated[str, Meta(pattern=rf"^[0-9a-fA-F]{{{2 * KEY_BYTES}}}\Z")]
