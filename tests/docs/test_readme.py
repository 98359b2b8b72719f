"""What README and docs tell people to type exists, and is typed right."""

import re

import pytest

from tests.docs.blocks import PAGES, ROOT, blocks_of, runnable, shell_lines
from tests.docs.commands import Unparsed, parse, words_of

LINES = [(block.page, line) for page in PAGES for block in blocks_of(page) for line in shell_lines(block)]
NARROWS = [(page, line) for page, line in LINES if re.match(r"(\S+/bin/)?narrows ", line) and runnable(line)]
MAKE = [(page, line) for page, line in LINES if line.startswith("make ")]


@pytest.mark.parametrize(("page", "line"), NARROWS)
def test_every_narrows_line_parses(page: str, line: str) -> None:
    assert parse(line) is not None


@pytest.mark.parametrize(("page", "line"), MAKE)
def test_every_make_target_exists(page: str, line: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    wanted = [word for word in words_of(line)[1:] if "=" not in word]
    assert wanted
    assert set(wanted) <= set(targets)


@pytest.mark.parametrize(("page", "line"), [each for each in MAKE if "demo ARGS=" in each[1]])
def test_what_make_passes_on_to_the_demo_parses(page: str, line: str) -> None:
    (given,) = re.findall(r'ARGS="([^"]*)"', line)
    assert parse(f"narrows demo {given}")


def test_the_readme_has_lines_of_both_kinds() -> None:
    assert [line for page, line in NARROWS if page == "README.md"]
    assert [line for page, line in MAKE if page == "README.md"]


@pytest.mark.parametrize(
    "line", ["narrows edge --fsp 5", "narrows paint", "narrows streams", "narrows demo --streams 99"]
)
def test_a_wrong_line_would_be_noticed(line: str) -> None:
    with pytest.raises(Unparsed):
        parse(line)


def test_every_file_that_the_pages_link_to_exists() -> None:
    missing = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert missing == []
