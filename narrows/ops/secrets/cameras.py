"""Cameras' key files: made, kept, made anew after a rotation, and taken away once they are revoked."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import SecretError
from narrows.contract.seal import CameraKey, Keyring
from narrows.contract.secret_files import make_secret_folder, read_secret
from narrows.runtime.redis.users import CAMERA

KEY_FILE = "camera.key"


@dataclass(frozen=True, slots=True)
class CameraFolders:
    """``STREAM/camera.key`` of each camera, and its password beside the others' in ``passwords``."""

    path: Path
    passwords: Path

    def forget_revoked(self, ring: Keyring) -> list[str]:
        """Take away the files of streams whose key is revoked; answers those streams.

        Raises:
            SecretError: a file cannot be read or taken away.
        """
        gone = [key.stream for key in self._kept() if (key.stream, key.key_id) in ring.revoked]
        for stream in gone:
            self._remove(stream)
        return gone

    def keys(self, wanted: Iterable[str], ring: Keyring, now_ms: int) -> dict[str, CameraKey]:
        """A key of the newest root for each stream: the one that is there, or one issued now.

        Raises:
            SecretError: a stream's newest key was revoked, or a file cannot be read.
        """
        kept = {key.stream: key for key in self._kept() if key.key_id == ring.newest.key_id}
        return {stream: kept.get(stream) or ring.issue(stream, now_ms) for stream in wanted}

    def streams(self) -> list[str]:
        """The streams that have a folder."""
        return [key.stream for key in self._kept()]

    def _kept(self) -> Iterator[CameraKey]:
        make_secret_folder(self.path)
        for file in sorted(self.path.glob(f"*/{KEY_FILE}")):
            try:
                yield CameraKey.parse(read_secret(file))
            except SecretError as error:
                raise SecretError(f"{file}: {error}") from None

    def _remove(self, stream: str) -> None:
        try:
            (self.passwords / f"{CAMERA}{stream}.password").unlink(missing_ok=True)
            shutil.rmtree(self.path / stream)
        except OSError as error:
            raise SecretError(f"the files of {stream} cannot be taken away ({error.strerror})") from None
