"""A run folder is one training's: of one command with one set of options, and of one process at a time.

::

    with locked(folder):                                   another process in it is named, not raced
        keep_settings(folder / "config.json", asked, ...)  what it was begun with, or a refusal
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from narrows.contract.errors import ConfigError
from narrows.contract.json_text import decode_object
from narrows.runtime.writing import write_file

CONFIG = "config.json"
LOCK = ".lock"
_MOST_BYTES = 1 << 20
_ELSEWHERE = "name another --run folder, or remove this one"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, and have it alone until the end; a process that is killed leaves it.

    Raises:
        ConfigError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{folder}: another process trains in this run folder; wait for it, or name another --run"
            ) from None
        yield


def read_settings(path: Path) -> dict[str, Any]:
    """What :func:`keep_settings` wrote.

    Raises:
        RecordError: it was changed by hand, or damaged.
    """
    return decode_object(path.read_bytes(), what=str(path), most_bytes=_MOST_BYTES)


def keep_settings(
    path: Path,
    asked: Mapping[str, Any],
    *,
    may_change: frozenset[str] = frozenset(),
    begun: bool,
    before: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write down what a run is begun with, or see that it is what it was begun with.

    Args:
        path: of the record, in the run folder.
        asked: of this run, as JSON has it or as ``str`` makes it.
        may_change: what a run that goes on may be given another of.
        begun: something was trained; before that, only what another command wrote is refused.
        before: how it was with options that are younger than the record, by name.

    Raises:
        ConfigError: the folder is another command's, or was begun with other options.
        RecordError: the record was changed by hand, or damaged.
    """
    folder, now, then = path.parent, _as_json(asked), _as_json(before)
    if path.is_file():
        held = read_settings(path)
        if strange := sorted(held.keys() - now.keys()):
            raise ConfigError(f"{folder} is another command's: its {path.name} has {strange[0]!r}; {_ELSEWHERE}")
        known = {name: value for name, value in then.items() if name in now} | held
        other = sorted(name for name in known if name not in may_change and known[name] != now[name])
        if begun and other:
            told = ", ".join(f"{name} {known[name]!r}, now {now[name]!r}" for name in other)
            raise ConfigError(f"{folder} was begun with {told}; {_ELSEWHERE}")
    elif begun:
        raise ConfigError(f"{folder} holds a training, and no {path.name} of this command; {_ELSEWHERE}")
    write_file(path, json.dumps(now, indent=2) + "\n")


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(dict(settings), default=str))
    return found
