"""Reading ``narrows.toml``: known keys with values of their type and range, or an error that names the line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from narrows.contract.errors import ConfigError
from narrows.runtime.config.key import Key

MAX_FILE_BYTES = 1 << 20
_HEADER = re.compile(r"\s*\[\s*([^\[\]#]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*(?:\.|=)")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value from a file, and the line that it stands in (``None`` where that cannot be told)."""

    key: Key
    value: Any
    line: int | None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says; without a file it says nothing."""

    path: Path | None = None
    settings: tuple[Setting, ...] = ()

    def get(self, key: Key) -> Setting | None:
        """What the file says of ``key``."""
        return next((setting for setting in self.settings if setting.key == key), None)

    def defaults(self, section: str) -> dict[str, Any]:
        """The values of a section by the command's parameters."""
        return {each.key.parameter: each.value for each in self.settings if each.key.section == section}


def read(path: Path, keys: Iterable[Key], *, passed_over: Collection[str] = ()) -> Configuration:
    """Read a file that may have ``keys``; the sections ``passed_over`` are not looked at.

    Raises:
        ConfigError: it cannot be read, is no TOML, has an unknown section or key, or a value that its key cannot have.
    """
    text = _text(path)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None
    known: dict[str, dict[str, Key]] = {}
    for key in keys:
        known.setdefault(key.section, {})[key.name] = key
    lines = _lines(text)
    looked_at = ((section, table) for section, table in tables.items() if section not in passed_over)
    found = (setting for section, table in looked_at for setting in _section(path, section, table, known, lines))
    return Configuration(path, tuple(found))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError(f"{path} has {len(data)} bytes; at most {MAX_FILE_BYTES} are read")
        return data.decode()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; see --config and NARROWS_CONFIG") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8: {error.reason} at byte {error.start}") from None


def _section(
    path: Path,
    section: str,
    table: object,
    known: Mapping[str, Mapping[str, Key]],
    lines: Mapping[tuple[str, str], int],
) -> list[Setting]:
    place = _place(path, lines.get((section, "")) or lines.get(("", section)))
    if section not in known:
        raise ConfigError(f"{place}: there is no section [{section}]{nearest(section, known)}")
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: {section} is a section: write [{section}] on a line of its own")
    return [
        _setting(path, section, name, value, known[section], lines.get((section, name)))
        for name, value in table.items()
    ]


def _setting(path: Path, section: str, name: str, value: object, known: Mapping[str, Key], line: int | None) -> Setting:
    place = _place(path, line)
    if name not in known:
        raise ConfigError(f"{place}: there is no key {name!r} in [{section}]{nearest(name, known)}")
    key = known[name]
    if not _fits(key, value):
        raise ConfigError(f"{place}: {key} is {_shown(value)}; it must be {key.expects}")
    return Setting(key, value, line)


def _fits(key: Key, value: object) -> bool:
    if key.many:
        return isinstance(value, list) and bool(value) and all(_one_fits(key, each) for each in value)
    return _one_fits(key, value)


def _one_fits(key: Key, value: object) -> bool:
    if key.choices:
        return value in key.choices
    if key.kind in (int, float):
        allowed = (int,) if key.kind is int else (int, float)
        return type(value) in allowed and _within(key, value)  # type: ignore[arg-type]
    return type(value) is (str if key.kind is Path else key.kind)


def _within(key: Key, value: float) -> bool:
    """Whether a number is in its range; NaN is in none."""
    return (key.lowest is None or value >= key.lowest) and (key.highest is None or value <= key.highest)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _place(path: Path, line: int | None) -> str:
    return str(path) if line is None else f"{path}:{line}"


def nearest(name: str, known: Iterable[str]) -> str:
    """What a wrong name may have meant, to be put behind the message."""
    names = sorted(known)
    near = get_close_matches(name.replace("_", "-").lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Where sections (with an empty key) and keys begin, as far as one line at a time shows it."""
    section = ""
    found: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            section = header[1].strip("\"'")
            found.setdefault((section, ""), number)
        elif key := _KEY.match(line):
            found.setdefault((section, key[1]), number)
    return found
