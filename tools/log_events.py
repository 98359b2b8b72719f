"""Write the table of docs/log-events.md: every event that the programs log, found in their code: ``make log-events``.

Event, level, packages and fields come from the calls themselves; what an event means is written by hand in the table
and kept. An event is one literal in snake_case, so that it can be searched and alerted on: anything else is an error.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "log-events.md"
PROGRAMS = ("narrows", "edge_client", "orchestrator")
BEGIN, END = "<!-- events: written by `make log-events`; edit only what an event means -->", "<!-- /events -->"
_HEAD = "| event | level | logged by | fields | means |\n| --- | --- | --- | --- | --- |\n"
_EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LEVELS = {each: each for each in ("debug", "info", "warning", "error", "critical")} | {"exception": "error"}
_ROW = re.compile(r"^\| `(\w+)` \|(?:[^|]*\|){3} (.*) \|$", re.MULTILINE)
_NO_FIELD = "exc_info"


class NotAnEvent(Exception):
    """A logger is used otherwise than by ``log.LEVEL("snake_case_event", field=...)``."""


@dataclass(frozen=True, slots=True)
class LogCall:
    """One call of a logger; ``fields`` has ``…`` where some are only known at run time."""

    event: str
    level: str
    package: str
    fields: tuple[str, ...]


def scan(root: Path = ROOT) -> list[LogCall]:
    """Every call of a logger in the programs below ``root``, in no particular order.

    Raises:
        NotAnEvent: names file and line of a call whose event is no literal in snake_case.
    """
    files = (file for program in PROGRAMS for file in sorted((root / program).rglob("*.py")))
    return [call for file in files for call in calls_in(file.read_text("utf-8"), file.relative_to(root).as_posix())]


def calls_in(source: str, path: str) -> list[LogCall]:
    """The calls of structlog's loggers in one module; ``path`` is relative, with forward slashes.

    Raises:
        NotAnEvent: names file and line of a use of a logger that is no event.
    """
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [_call(called.get(id(use)), use, path) for use in _uses(tree)]


def _uses(tree: ast.Module) -> Iterator[ast.Attribute]:
    """What is asked of a logger: ``LOGGER.info`` wherever LOGGER is what ``get_logger`` gave, or that call itself."""
    loggers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _makes_logger(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (
            _makes_logger(node.value) or (isinstance(node.value, ast.Name) and node.value.id in loggers)
        ):
            yield node


def _makes_logger(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"structlog.get_logger", "get_logger"}


def _call(call: ast.Call | None, use: ast.Attribute, path: str) -> LogCall:
    where = f"{path}:{use.lineno}"
    if call is None or use.attr not in _LEVELS:
        raise NotAnEvent(f"{where}: call a logger as log.LEVEL(event, field=...), not {ast.unparse(use)!r}")
    event = call.args[0].value if len(call.args) == 1 and isinstance(call.args[0], ast.Constant) else None
    if not isinstance(event, str) or not _EVENT.fullmatch(event):
        raise NotAnEvent(
            f"{where}: a log event is one literal in snake_case, with what varies in fields: {ast.unparse(call)}"
        )
    fields = tuple(each.arg or "…" for each in call.keywords if each.arg != _NO_FIELD)
    return LogCall(event, _LEVELS[use.attr], _package(path), fields)


def _package(path: str) -> str:
    parts = Path(path).parts[:-1]
    return ".".join(parts[:1] if parts[0] == "edge_client" else parts[:2])


def render(calls: list[LogCall], meanings: dict[str, str]) -> str:
    """The table, a row an event."""
    rows = []
    for event in sorted({call.event for call in calls}):
        own = [call for call in calls if call.event == event]
        levels = [level for level in _LEVELS if any(call.level == level for call in own)]
        packages = sorted({call.package for call in own})
        fields = dict.fromkeys(field for call in own for field in call.fields)
        cells = (levels, [f"`{each}`" for each in packages], [f"`{each}`" if each != "…" else each for each in fields])
        rows.append(f"| `{event}` | {' | '.join(', '.join(cell) for cell in cells)} | {meanings.get(event, '')} |")
    return _HEAD + "\n".join(rows) + "\n"


def written(page: str, calls: list[LogCall]) -> str:
    """``page`` with its table made anew, and what events mean as it was."""
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render(calls, meanings_in(table))}{END}{after}"


def meanings_in(table: str) -> dict[str, str]:
    """What each event of a table means; what is not filled in is left out."""
    return {event: words.strip() for event, words in _ROW.findall(table) if words.strip()}


def main() -> int:
    """Write the page; the exit status."""
    try:
        calls = scan()
    except NotAnEvent as error:
        print(error)
        return 1
    page = written(PAGE.read_text("utf-8"), calls)
    PAGE.write_text(page, "utf-8")
    missing = sorted({call.event for call in calls} - meanings_in(page).keys())
    if missing:
        print(f"{PAGE.relative_to(ROOT)}: say what these mean: {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
