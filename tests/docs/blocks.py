"""The fenced blocks of a Markdown page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DRAWN = re.compile(r"[─│┌└├▼▶◀→]")
_LEFT_OUT = re.compile(r"…|\[-|\.\.\.")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language (empty for shell lines and drawings) and its text."""

    page: str
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    return [Block(page.name, language, text) for language, text in _FENCE.findall(page.read_text())]


def shell_lines(block: Block) -> Iterator[str]:
    """The commands of a block without language: continued lines joined, comments and empty lines left out."""
    if block.language not in {"", "sh", "bash", "shell"} or _DRAWN.search(block.text):
        return
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def runnable(line: str) -> bool:
    """Whether a line is a command as it stands, not a pattern of one."""
    return not _LEFT_OUT.search(line)
