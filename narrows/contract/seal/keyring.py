"""The cloud's keys: a few roots, from which each camera's key is derived, and what was revoked. Pure.

A root for each key id rather than a key for each camera: a camera is added without telling a dispatcher, and
what dispatchers hold does not grow with the fleet. A camera's own key opens nothing of another's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from narrows.contract.errors import RecordError, SealKeyRevoked, SealKeyUnknown, SecretError, StreamIdInvalid
from narrows.contract.seal.camera_key import KEY_BYTES, MAX_KEY_ID, CameraKey, KeyId, KeyTime
from narrows.contract.wire.keys import check_stream_id
from narrows.contract.wire.record import Record

ROOT_BYTES = 32
_CONTEXT = b"narrows seal 1\0"


@dataclass(frozen=True, slots=True)
class Root:
    """What the cameras' keys with one key id are derived from.

    Attributes:
        key_id: 1-255.
        made_ms: when, Unix milliseconds.
        until_ms: good until then; ``None``: no end is set.
        secret: 32 bytes; never shown.
    """

    key_id: int
    made_ms: int
    until_ms: int | None = None
    secret: bytes = field(default=b"", repr=False)

    def is_over(self, now_ms: float) -> bool:
        """Whether its time is over."""
        return self.until_ms is not None and now_ms >= self.until_ms


@dataclass(frozen=True)
class Keyring:
    """Roots by key id, and (stream, key id) of each revoked key."""

    roots: dict[int, Root] = field(default_factory=dict)
    revoked: frozenset[tuple[str, int]] = frozenset()

    @property
    def newest(self) -> Root:
        """The root that keys are issued from.

        Raises:
            SecretError: there is none.
        """
        if not self.roots:
            raise SecretError("there is no root key: `narrows keys init` makes one")
        return self.roots[max(self.roots)]

    def check(self, stream: str, key_id: int, now_ms: float) -> None:
        """Refuse what :meth:`derive` would give no good key for.

        Raises:
            SealKeyUnknown, SealKeyRevoked: there is no such key, or it is no longer good.
        """
        root = self.roots.get(key_id)
        if root is None:
            raise SealKeyUnknown(f"no key {key_id} here; there are {sorted(self.roots)}")
        if root.is_over(now_ms):
            raise SealKeyRevoked(f"the time of key {key_id} is over: give {stream} its new key")
        if (stream, key_id) in self.revoked:
            raise SealKeyRevoked(f"key {key_id} of {stream} was revoked")

    def derive(self, stream: str, key_id: int) -> CameraKey:
        """A stream's key with an id that there is a root for."""
        root = self.roots[key_id]
        info = _CONTEXT + bytes([key_id]) + stream.encode()
        return CameraKey(stream, key_id, root.made_ms, HKDF(SHA256(), KEY_BYTES, None, info).derive(root.secret))

    def issue(self, stream: str, now_ms: int) -> CameraKey:
        """A stream's key of the newest root.

        Raises:
            SecretError: that key was revoked, or the newest root's time is over.
        """
        root = self.newest
        try:
            self.check(check_stream_id(stream), root.key_id, now_ms)
        except SealKeyRevoked as refusal:
            raise SecretError(f"{refusal}; `narrows keys rotate` makes the root of a new one") from None
        return replace(self.derive(stream, root.key_id), issued_ms=now_ms)

    def rotated(self, now_ms: int, until_ms: int | None) -> Keyring:
        """With a new root; the others are good until ``until_ms``, if they were for longer; ``None`` leaves them.

        Raises:
            SecretError: 255 roots were made.
        """
        key_id = max(self.roots, default=0) + 1
        if key_id > MAX_KEY_ID:
            raise SecretError(f"key ids end at {MAX_KEY_ID}: begin a new key folder")
        older = {each.key_id: _ended(each, until_ms) for each in self.roots.values()}
        return replace(self, roots=older | {key_id: Root(key_id, now_ms, None, secrets.token_bytes(ROOT_BYTES))})

    def without_stream(self, stream: str) -> Keyring:
        """With every key that a stream may have now revoked."""
        found = {(check_stream_id(stream), key_id) for key_id in self.roots}
        return replace(self, revoked=self.revoked | found)

    def without_root(self, key_id: int, now_ms: int) -> Keyring:
        """With the time of a root over.

        Raises:
            SecretError: there is no such root.
        """
        if key_id not in self.roots:
            raise SecretError(f"there is no root {key_id}; there are {sorted(self.roots)}")
        return replace(self, roots=self.roots | {key_id: _ended(self.roots[key_id], now_ms)})

    def to_json(self) -> bytes:
        """What the key folder's file holds."""
        roots = tuple(_Root(r.key_id, r.made_ms, r.until_ms, r.secret.hex()) for r in self.roots.values())
        return msgspec.json.format(_File(roots, tuple(sorted(self.revoked))).to_json(), indent=1) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Keyring:
        """Read the file, whatever the bytes; no message repeats them.

        Raises:
            SecretError: it is none.
        """
        try:
            found = _File.parse(data)
            revoked = frozenset((check_stream_id(stream), key_id) for stream, key_id in found.revoked)
        except (RecordError, StreamIdInvalid):
            raise SecretError("this is no key ring of version 1: `narrows keys init` makes one") from None
        roots = {r.key_id: Root(r.key_id, r.made_ms, r.until_ms, bytes.fromhex(r.secret)) for r in found.roots}
        if len(roots) != len(found.roots):
            raise SecretError("this key ring has a key id twice")
        return cls(roots, revoked)


class _Root(msgspec.Struct, frozen=True):
    key_id: KeyId
    made_ms: KeyTime
    until_ms: KeyTime | None
    secret: Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-fA-F]{{{2 * ROOT_BYTES}}}\Z")]


class _File(Record, frozen=True, tag_field="v", tag=1):
    what: ClassVar[str] = "a key ring"
    most_bytes: ClassVar[int] = 1 << 22

    roots: tuple[_Root, ...]
    revoked: tuple[tuple[str, int], ...]


def _ended(root: Root, until_ms: int | None) -> Root:
    if until_ms is None or (root.until_ms is not None and root.until_ms <= until_ms):
        return root
    return replace(root, until_ms=until_ms)
