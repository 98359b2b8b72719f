"""The key folder: one file, read whole, replaced whole, changed by one hand at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import SecretError
from narrows.contract.seal.keyring import Keyring
from narrows.contract.secret_files import check_secret_folder, make_secret_folder, read_secret, write_secret

KEYRING_FILE = "keyring.json"


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """A folder of mode 0700 with a key ring in it."""

    path: Path

    @property
    def file(self) -> Path:
        """The key ring's file."""
        return self.path / KEYRING_FILE

    def read(self) -> Keyring:
        """The key ring.

        Raises:
            SecretError: there is none, it cannot be read, or others could read it.
        """
        check_secret_folder(self.path)
        try:
            return Keyring.parse(read_secret(self.file))
        except SecretError as error:
            raise SecretError(f"key folder {self.path}: {error}") from None

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes when the key ring does; ``None`` while it cannot be seen."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def begin(self, ring: Keyring) -> None:
        """Make the folder with its first key ring.

        Raises:
            SecretError: there is one, or it cannot be made.
        """
        make_secret_folder(self.path)
        with self._held():
            if self.file.exists():
                raise SecretError(f"{self.file} is there already: `narrows keys rotate` makes another root key")
            write_secret(self.file, ring.to_json())

    def change(self, changed: Callable[[Keyring], Keyring]) -> Keyring:
        """Replace the key ring by what ``changed`` makes of it; answers that.

        Raises:
            SecretError: it cannot be read or written, or ``changed`` refuses.
        """
        check_secret_folder(self.path)
        with self._held():
            ring = changed(self.read())
            write_secret(self.file, ring.to_json())
        return ring

    @contextmanager
    def _held(self) -> Iterator[None]:
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
