"""The files of Redis's users: ``USER.password`` and, made of it, ``USER.url``."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from narrows.contract.errors import SecretError, ServiceError
from narrows.contract.secret_files import make_secret_folder, read_secret, write_secret
from narrows.runtime.redis.url import check_url, with_credentials
from narrows.runtime.redis.users import User

_PASSWORD_BYTES = 24


def credentials(folder: Path, users: Iterable[User], address: str) -> dict[User, str]:
    """Each user's password, made where there is none; their addresses are written anew.

    Raises:
        SecretError: the folder or a file cannot be used, or the address has a user already.
    """
    found = passwords(folder, users)
    for user, password in found.items():
        write_secret(folder / f"{user.name}.url", with_user(address, user, password).encode())
    return found


def passwords(folder: Path, users: Iterable[User]) -> dict[User, str]:
    """Each user's password, made where there is none.

    Raises:
        SecretError: the folder or a file cannot be used.
    """
    make_secret_folder(folder)
    return {user: _password(folder / f"{user.name}.password") for user in users}


def with_user(address: str, user: User, password: str) -> str:
    """A user's own address, made of Redis's.

    Raises:
        SecretError: the address has a user already, or is none.
    """
    try:
        parts = urlsplit(check_url(address))
    except ServiceError as error:
        raise SecretError(str(error).replace("--redis-url", "--address")) from None
    if not parts.hostname or "@" in parts.netloc:
        raise SecretError("--address is redis://HOST:PORT/0 or rediss://HOST:PORT/0, without a user")
    return with_credentials(address, user.name, password)


def _password(path: Path) -> str:
    if path.exists():
        return read_secret(path).decode("utf-8", "replace").strip()
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    write_secret(path, password.encode())
    return password
