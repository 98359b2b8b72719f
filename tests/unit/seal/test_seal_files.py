"""Which files may hold secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from narrows.contract.errors import SecretError
from narrows.contract.secret_files import read_secret


def secret(folder: Path, mode: int) -> Path:
    path = folder / "secret"
    path.write_bytes(b"s")
    path.chmod(mode)
    return path


def test_a_file_that_a_group_may_read_is_no_secret(tmp_path: Path) -> None:
    assert read_secret(secret(tmp_path, 0o600)) == b"s"
    with pytest.raises(SecretError, match="0440"):
        read_secret(secret(tmp_path, 0o440))


def test_systemds_credentials_are_known_by_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(secret(tmp_path, 0o440)) == b"s"
    with pytest.raises(SecretError, match="has mode"):
        read_secret(secret(tmp_path, 0o444))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path.parent))
    with pytest.raises(SecretError, match="0440"):
        read_secret(secret(tmp_path, 0o440))
