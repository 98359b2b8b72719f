"""Writes the figures in README and docs from ``results/*.json``, so that no number is typed by hand.

A document marks a place with ``<!-- figures:NAME -->`` and ``<!-- /figures -->``; ``benchmarks/NAME/figures.py`` fills
it. ``--check`` fails where a document and the results differ.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.markdown import table
from benchmarks.record import RESULTS, read_result
from benchmarks.sizing.figures import VIEWS, View

ROOT = Path(__file__).parent.parent
_PLACE = re.compile(r"(<!-- figures:(\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
_ELSEWHERE = {"fuzz": "tests.fuzz", "chaos_cluster": "benchmarks.chaos"}
"""Whose renderer is in a package of another name."""
Renderer = Callable[[dict[str, Any]], str]


def renderer_of(name: str) -> Renderer:
    """What turns a result, or a view of another's, into Markdown."""
    if name in VIEWS:
        return view(VIEWS[name])
    found: Renderer = import_module(f"{_ELSEWHERE.get(name, f'benchmarks.{name}')}.figures").render
    return found


def view(shown: View) -> Renderer:
    """How a view of another benchmark's result is rendered."""

    def rendered(result: dict[str, Any]) -> str:
        parts = [table(head, rows) for head, rows in shown.tables(result)]
        return "\n\n".join([*parts, shown.note] if shown.note else parts)

    return rendered


def render(document: str) -> str:
    """The document with every marked place filled from its result; a place without a result is left as it is."""

    def fill(place: re.Match[str]) -> str:
        name = place[2]
        source_of = VIEWS[name].result if name in VIEWS else name
        stored = source_of.replace("_", "-")
        if not (RESULTS / f"{stored}.json").is_file():
            return place[0]
        result = read_result(stored)
        source = f"`{result['command']}` on {result['machine']}:"
        return f"{place[1]}{source}\n\n{renderer_of(name)(result)}\n{place[3]}"

    return _PLACE.sub(fill, document)


def documents() -> list[Path]:
    """Every document that may hold figures."""
    return [
        ROOT / "README.md",
        ROOT / "ARCHITECTURE.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted(ROOT.glob("bundles/*/MODEL_CARD.md")),
    ]


def main() -> None:
    stale = [path for path in documents() if render(path.read_text()) != path.read_text()]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} differs from benchmarks/results: run `make figures`")
        else:
            path.write_text(render(path.read_text()))
            print(f"rewrote the figures of {path.relative_to(ROOT)}")
    sys.exit(1 if stale and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
