"""Options that hold secrets may name a file instead: ``file:PATH``. A command line is seen by everyone on a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SECRETS = frozenset(
    {"redis_url", "prompts_redis_url", "token", "operator_token", "http_token", "docker_token", "site_token"}
)
"""Parameters whose value is a secret, or has one in it."""
_FROM_FILE = "file:"
_ADDRESSES = frozenset({"redis_url", "prompts_redis_url"})
_AUTHORITY = "ssl_ca_certs"


def resolved(options: Mapping[str, object]) -> dict[str, object]:
    """Options with the contents of the files that secrets are in.

    A path in an address that was read from a file begins in that file's folder: both may lie anywhere together.

    Raises:
        SecretError: a file cannot be read, others may read it, or it is empty.
        ServiceError: an address has a password that is not encoded as it must be.
    """
    found = {name: _value(name, given) if name in SECRETS else given for name, given in options.items()}
    for name, value in found.items():
        _hide(name, value)
    return found


def _hide(name: str, value: object) -> None:
    """From now on: a secret, or the password in an address (a camera's too, and in lists).

    Raises:
        ServiceError: the password in an address is not encoded.
    """
    from narrows.runtime.redact import keep_secret, keep_url

    if isinstance(value, list | tuple):
        for each in value:
            _hide(name, each)
    elif isinstance(value, str) and "://" in value:
        keep_url(value)
        if "@" in value:  # who is given no password, as the engine proxy, does not load the client of Redis for it
            from narrows.runtime.redis.url import check_encoding

            check_encoding(value, f"--{name.replace('_', '-')}")
    elif isinstance(value, str) and name in SECRETS - _ADDRESSES:
        keep_secret(value)


def _value(name: str, given: object) -> object:
    if not isinstance(given, str) or not given.startswith(_FROM_FILE):
        return given
    from narrows.contract.errors import SecretError
    from narrows.contract.secret_files import read_secret

    path = Path(given.removeprefix(_FROM_FILE))
    value = read_secret(path).decode("utf-8", "replace").strip()
    if not value:
        raise SecretError(f"{path} is empty; it should hold the value of an option")
    _hide(name, value)
    return _beside(value, path.parent) if name in _ADDRESSES else value


def _beside(address: str, folder: Path) -> str:
    split = urlsplit(address)
    query = [(key, str(folder / text) if key == _AUTHORITY else text) for key, text in parse_qsl(split.query, True)]
    return urlunsplit(split._replace(query=urlencode(query, safe="/"))) if split.query else address
