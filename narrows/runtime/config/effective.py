"""What holds: environment before file before default, and where each value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from narrows.runtime.config.file import Configuration
from narrows.runtime.config.key import REQUIRED, Key
from narrows.runtime.redact import keep_url, redact

_SECRET = re.compile(r"token|password|secret")


@dataclass(frozen=True, slots=True)
class Effective:
    """A key's value in words, without secrets, and its source in words."""

    key: Key
    value: str
    source: str


def effective(keys: Iterable[Key], configuration: Configuration, environment: Mapping[str, str]) -> Iterator[Effective]:
    """Each key's value, unless the command line says otherwise."""
    for key in keys:
        value, source = _value(key, configuration, environment)
        hidden = _SECRET.search(key.name) and value != in_words(key.default)
        keep_url(value)
        yield Effective(key, "***" if hidden else redact(value), source)


def in_words(value: object) -> str:
    """A value as a file would have it; nothing for ``None``."""
    if value is None or value is REQUIRED:
        return "-"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(in_words, value)) + "]"
    if isinstance(value, Enum):
        return in_words(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str | Path) else f"{value:g}" if isinstance(value, float) else str(value)


def _value(key: Key, configuration: Configuration, environment: Mapping[str, str]) -> tuple[str, str]:
    if given := environment.get(key.variable):
        return given, f"environment {key.variable}"
    if (setting := configuration.get(key)) is not None:
        line = "" if setting.line is None else f":{setting.line}"
        return in_words(setting.value), f"{configuration.path}{line}"
    return in_words(key.default), "not set, required" if key.default is REQUIRED else "default"
