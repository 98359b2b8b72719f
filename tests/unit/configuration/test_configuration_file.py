"""``narrows.toml``: what it may say, and how what it may not say is answered."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from narrows.cli.sections import all_keys
from narrows.contract.errors import ConfigError
from narrows.contract.wire.streams import Policy
from narrows.runtime.config import Configuration, Key, keys_of, read
from narrows.runtime.config.effective import effective


def program(
    source: Annotated[str, typer.Option(help="Where pictures come from.")],
    *,
    fps: Annotated[float, typer.Option(min=0.5, max=60.0)] = 10.0,
    level: Annotated[int | None, typer.Option(min=0)] = None,
    again: Annotated[bool, typer.Option("--loop")] = False,
    folder: Annotated[list[Path], typer.Option(envvar="THE_FOLDERS")] = [],  # noqa: B006
    policy: Annotated[Policy, typer.Option()] = Policy.REALTIME,
) -> None: ...


KEYS = tuple(keys_of("edge", program))


def key(name: str) -> Key:
    return next(each for each in KEYS if each.name == name)


@pytest.fixture
def said(tmp_path: Path) -> "Say":
    return Say(tmp_path / "narrows.toml")


class Say:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, text: str) -> Configuration:
        self.path.write_text(text)
        return read(self.path, KEYS)


def test_every_option_is_a_key_of_its_long_name() -> None:
    assert [each.name for each in KEYS] == ["source", "fps", "level", "loop", "folder", "policy"]
    assert (key("loop").parameter, key("loop").kind) == ("again", bool)
    assert (key("fps").lowest, key("fps").highest, key("fps").default) == (0.5, 60.0, 10.0)
    assert (key("folder").variable, key("fps").variable) == ("THE_FOLDERS", "NARROWS_EDGE_FPS")
    assert not key("source").has_default


def test_a_file_speaks_to_the_commands_parameters(said: Say) -> None:
    text = '[edge]\nsource = "a"\nfps = 5\nlevel = 2\nloop = true\nfolder = ["x", "y"]\npolicy = "complete"\n'
    assert said(text).defaults("edge") == {
        "source": "a",
        "fps": 5,
        "level": 2,
        "again": True,
        "folder": ["x", "y"],
        "policy": "complete",
    }


def test_an_empty_file_says_nothing(said: Say) -> None:
    assert said("# nothing yet\n").settings == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[egde]\nfps = 5", ":1: there is no section [egde]; did you mean 'edge'?"),
        ("[edge]\n\nfsp = 5", ":3: there is no key 'fsp' in [edge]; did you mean 'fps'?"),
        ('[edge]\n"sorce" = "a"', ":2: there is no key 'sorce' in [edge]; did you mean 'source'?"),
        ("[edge]\nzzz = 1", ":2: there is no key 'zzz' in [edge]; there are folder, fps, level"),
        ("[edge]\nfps = 100", ":2: [edge] fps is 100; it must be a number from 0.5 to 60"),
        ("[edge]\nfps = nan", ":2: [edge] fps is nan; it must be a number"),
        ("[edge]\nfps = '5'", ":2: [edge] fps is '5'; it must be a number"),
        ("[edge]\nlevel = -1", ":2: [edge] level is -1; it must be a whole number of at least 0"),
        ("[edge]\nlevel = true", ":2: [edge] level is True"),
        ("[edge]\nlevel = 1.0", ":2: [edge] level is 1.0"),
        ("[edge]\nloop = 1", ":2: [edge] loop is 1; it must be true or false"),
        ("[edge]\nfolder = 'x'", ":2: [edge] folder is 'x'; it must be a list, each a path"),
        ("[edge]\nfolder = []", ":2: [edge] folder is []"),
        ("[edge]\npolicy = 'real'", ":2: [edge] policy is 'real'; it must be one of realtime, complete"),
        ("[edge]\npolicy = []", ":2: [edge] policy is []"),
        ("edge = 5", ":1: edge is a section: write [edge]"),
        ("fps = 5", ":1: there is no section [fps]"),
        ("[edge\n", "is no TOML: Expected ']'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(said: Say, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as raised:
        said(text)
    assert f"{said.path}{named}" in str(raised.value) or f"{said.path} {named}" in str(raised.value)


def test_the_null_device_is_how_to_have_no_file() -> None:
    assert read(Path(os.devnull), KEYS).settings == ()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        read(tmp_path / "none.toml", KEYS)


def test_a_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "narrows.toml").write_bytes(b"[edge]\nsource = '\xff'\n")
    with pytest.raises(ConfigError, match="is no UTF-8"):
        read(tmp_path / "narrows.toml", KEYS)


LINES = st.from_regex(r"\[edge\]\n(fps|level|loop|source) = [0-9a-z'\"\[\]{}.]{0,12}\n", fullmatch=True)


@given(st.text(max_size=200) | LINES)
def test_whatever_the_text_it_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode(errors="replace"))
    with suppress(ConfigError):
        assert {each.key.section for each in read(path, KEYS).settings} <= {"edge"}


def test_environment_outranks_file_outranks_default(said: Say) -> None:
    configuration = said("[edge]\nfps = 5\nlevel = 2\n")
    shown = {
        each.key.name: (each.value, each.source) for each in effective(KEYS, configuration, {"NARROWS_EDGE_FPS": "9"})
    }
    assert shown["fps"] == ("9", "environment NARROWS_EDGE_FPS")
    assert shown["level"] == ("2", f"{said.path}:3")
    assert shown["policy"] == ('"realtime"', "default")
    assert shown["source"] == ("-", "not set, required")


def test_passwords_are_not_shown(said: Say) -> None:
    configuration = said("[edge]\nsource = 'rtsp://admin:hunter2@cam/1'\n")
    assert "hunter2" not in str([each.value for each in effective(KEYS, configuration, {})])


def test_the_real_keys_are_unique_and_documented() -> None:
    places = [(each.section, each.name) for each in all_keys()]
    assert len(set(places)) == len(places)
    assert {"redis", "triton", "edge", "orchestrate", "demo"} <= {section for section, _ in places}
    assert not [str(each) for each in all_keys() if not each.help]
