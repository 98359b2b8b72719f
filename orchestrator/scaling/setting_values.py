"""Settings of the policy as an operator writes them: ``drain_s=20``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from narrows.contract.errors import ConfigError
from orchestrator.scaling.settings import PolicySettings

_KINDS = {"int": int, "float": float}


def with_values(settings: PolicySettings, texts: Iterable[str]) -> PolicySettings:
    """The settings with some of them as each ``NAME=VALUE`` says.

    Raises:
        ConfigError: there is no such setting, the value is no number of its kind, or settings contradict each other.
    """
    given: dict[str, Any] = dict(_value(text) for text in texts)
    try:
        return replace(settings, **given)
    except ValueError as error:
        raise ConfigError(f"the policy: {error}") from None


def _value(text: str) -> tuple[str, int | float]:
    name, equals, value = (part.strip() for part in text.partition("="))
    known = {each.name: str(each.type) for each in fields(PolicySettings)}
    name = name.replace("-", "_")
    if not equals:
        raise ConfigError(f"--policy {text!r}: write NAME=VALUE, such as drain_s=20")
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        raise ConfigError(
            f"--policy {text!r}: the policy has no setting {name!r}"
            + (f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}")
        )
    kind = _KINDS[known[name]]
    try:
        return name, kind(value)
    except ValueError:
        raise ConfigError(f"--policy {text!r}: {name} is {_in_words(kind)}") from None


def _in_words(kind: type) -> str:
    return "a whole number" if kind is int else "a number"
