"""Options that hold secrets may name a file instead: ``file:PATH``. A command line is seen by everyone on a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SECRETS = frozenset({"redis_url", "token", "http_token"})
"""Parameters whose value is a secret, or has one in it."""
_FROM_FILE = "file:"


def resolved(options: Mapping[str, object]) -> dict[str, object]:
    """Options with the contents of the files that secrets are in.

    Raises:
        SecretError: a file cannot be read, others may read it, or it is empty.
    """
    return {name: _value(given) if name in SECRETS else given for name, given in options.items()}


def _value(given: object) -> object:
    if not isinstance(given, str) or not given.startswith(_FROM_FILE):
        return given
    from narrows.errors import SecretError
    from narrows.seal.files import read_secret

    path = Path(given.removeprefix(_FROM_FILE))
    value = read_secret(path).decode("utf-8", "replace").strip()
    if not value:
        raise SecretError(f"{path} is empty; it should hold the value of an option")
    return value
