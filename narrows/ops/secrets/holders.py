"""Who holds secrets: a folder for each, which belongs to the user of its containers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import SecretError
from narrows.contract.secret_files import check_secret_folder, make_secret_folder, read_secret, write_secret


@dataclass(frozen=True, slots=True)
class Holder:
    """A folder's name, and the user and group of the containers that it is mounted into."""

    name: str
    uid: int
    gid: int

    def claim(self, out: Path) -> Path:
        """Its folder below ``out``, of mode 0700; where root makes it, it is that user's.

        Raises:
            SecretError: it cannot be made, or given away.
        """
        folder = out / self.name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(folder.iterdir()):
                self._begin(folder)
        except OSError as error:
            raise SecretError(f"{folder} cannot be made ({error.strerror})") from None
        check_secret_folder(folder)
        return folder

    def _begin(self, folder: Path) -> None:
        """A volume begins as root's, and open to all."""
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(folder, self.uid, self.gid)


VAULT = Holder("vault", 0, 0)
REDIS = Holder("redis", 999, 999)
DISPATCHER = Holder("dispatcher", 1000, 1000)
AUTOSCALER = Holder("autoscaler", 1000, 1000)
ENGINE_PROXY = Holder("engine-proxy", 0, 0)
PAGE = Holder("page", 1000, 1000)
CAMERAS = Holder("cameras", 1000, 1000)
EXPORTER = Holder("redis-exporter", 59000, 59000)
PROMETHEUS = Holder("prometheus", 65534, 65534)
GRAFANA = Holder("grafana", 472, 0)
HOLDERS = (VAULT, REDIS, DISPATCHER, AUTOSCALER, ENGINE_PROXY, PAGE, CAMERAS, EXPORTER, PROMETHEUS, GRAFANA)
"""All of them; but for the vault, each is named like its service in ``docker-compose.yml``."""


def settle(folder: Path, files: dict[str, bytes]) -> int:
    """Write those of a folder's files that are not so yet; answers how many.

    Raises:
        SecretError: one cannot be written, or others can read what is there.
    """
    make_secret_folder(folder)
    stale = {name: data for name, data in files.items() if _held(folder / name) != data}
    for name, data in stale.items():
        write_secret(folder / name, data)
    return len(stale)


def _held(path: Path) -> bytes | None:
    return read_secret(path) if path.exists() else None
