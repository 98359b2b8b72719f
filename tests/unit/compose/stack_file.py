"""The compose files, read without compose: its merge keys, its tags, its ``${NAME:-default}``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
_KNOB = re.compile(r"\$\{([A-Z_]+)")
_DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped base
    """Takes ``!reset`` and ``!override`` for what stands behind them."""


def _plain(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return None


_Loader.add_multi_constructor("!", _plain)


def read(name: str) -> dict[str, Any]:
    """One of the files."""
    loaded: dict[str, Any] = yaml.load((ROOT / name).read_text(), _Loader)
    return loaded


def services() -> dict[str, dict[str, Any]]:
    """The services of ``docker-compose.yml``."""
    found: dict[str, dict[str, Any]] = read("docker-compose.yml")["services"]
    return found


def by_default(word: str) -> str:
    """A word of a command with the defaults of its variables, as compose has it where nobody sets them."""
    return _DEFAULT.sub(r"\1", word)


def knobs(name: str) -> set[str]:
    """The variables that a file takes from the environment."""
    return set(_KNOB.findall((ROOT / name).read_text()))
