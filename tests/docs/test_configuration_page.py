"""``docs/configuration.md`` says what is so."""

import re
from pathlib import Path

import pytest

from narrows.cli.sections import all_keys
from narrows.contract.errors import ConfigError
from narrows.runtime.config import read
from narrows.runtime.config.document import with_table

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_table_is_that_of_the_options() -> None:
    page = PAGE.read_text()
    assert with_table(page, all_keys()) == page, "run: .venv/bin/narrows config keys --write docs/configuration.md"


def test_the_example_file_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "narrows.toml").write_text(example)
    assert read(tmp_path / "narrows.toml", all_keys()).defaults("edge")["fps"] == 5


@pytest.mark.parametrize(("wrong", "number"), [("fsp = 5", 0), ("fps = 500", 1)])
def test_the_messages_that_it_shows_are_the_messages(tmp_path: Path, wrong: str, number: int) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    shown = re.findall(r"^narrows: (narrows.toml:.*)$", PAGE.read_text(), re.MULTILINE)[number]
    path = tmp_path / "narrows.toml"
    path.write_text(example.replace("fps = 5", wrong))
    with pytest.raises(ConfigError) as raised:
        read(path, all_keys())
    assert re.sub(r":\d+:", ":", str(raised.value).removeprefix(f"{tmp_path}/")) == re.sub(r":\d+:", ":", shown)
