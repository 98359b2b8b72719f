"""The configuration: is the file valid, does every variable mean something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path

from narrows.contract.errors import ConfigError
from narrows.runtime.config import Configuration
from narrows.runtime.finding import Finding, fail, ok, warn

PREFIX = "NARROWS_"
OTHERS = frozenset({"NARROWS_CONFIG", "NARROWS_TRITON_ENV", "NARROWS_DATA", "NARROWS_SHM_PREFIX"})
_EVERYONE = 0o044


def judge(
    configuration: Configuration | ConfigError, environment: Mapping[str, str], variables: AbstractSet[str]
) -> Iterator[Finding]:
    """The file and the environment; ``variables`` are those that keys have."""
    yield judge_file(configuration)
    yield from judge_variables(environment, variables | OTHERS)


def judge_file(configuration: Configuration | ConfigError) -> Finding:
    """Whether the file could be read, and whether its secrets are its owner's."""
    if isinstance(configuration, ConfigError):
        return fail("configuration", str(configuration), "correct the line; docs/configuration.md has all keys")
    if configuration.path is None:
        return ok("configuration", "no file")
    detail = f"{configuration.path}, {len(configuration.settings)} keys"
    if _tells_secrets(configuration, configuration.path):
        return warn("configuration", f"{detail}: anyone may read its password", f"chmod 600 {configuration.path}")
    return ok("configuration", detail)


def judge_variables(environment: Mapping[str, str], known: AbstractSet[str]) -> Iterator[Finding]:
    """Variables that begin as ours do and mean nothing."""
    for name in sorted(name for name in environment if name.startswith(PREFIX) and name not in known):
        near = get_close_matches(name, sorted(known), n=1)
        remedy = f"did you mean {near[0]}?" if near else "unset it; `narrows config keys` has them all"
        yield warn("environment", f"{name} means nothing", remedy)


def stream_told_masks(configuration: Configuration | ConfigError, environment: Mapping[str, str]) -> str | None:
    """The camera that ``narrows edge`` is here told to make the masks of; ``None``: none is."""
    told = {} if isinstance(configuration, ConfigError) else configuration.defaults("edge")
    if (environment.get("NARROWS_EDGE_SEND") or told.get("send")) != "masks":
        return None
    return environment.get("NARROWS_STREAM_ID") or told.get("stream_id") or "this machine's camera"


def _tells_secrets(configuration: Configuration, path: Path) -> bool:
    secret = any(isinstance(each.value, str) and "@" in each.value for each in configuration.settings)
    return secret and path.is_file() and bool(path.stat().st_mode & _EVERYONE)
