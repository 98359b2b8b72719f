"""How the file reaches the commands, as processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "narrows.cli")


def narrows(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    variables = inherited | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "narrows.toml").write_text(
        '[redis]\nurl = "redis://:hunter2@127.0.0.1:1/0"\n[orchestrate]\nbundle = ["from-the-file"]\n'
    )
    return tmp_path


def test_a_program_takes_its_required_options_from_the_file_beside_it(folder: Path) -> None:
    assert "from-the-file is no bundle" in narrows(folder, "orchestrate").stderr


def test_the_environment_outranks_the_file_and_the_command_line_outranks_both(folder: Path) -> None:
    from_environment = narrows(folder, "orchestrate", NARROWS_BUNDLE="from-the-environment")
    assert "from-the-environment is no bundle" in from_environment.stderr
    from_line = narrows(folder, "orchestrate", "--bundle", "from-the-line", NARROWS_BUNDLE="from-the-environment")
    assert "from-the-line is no bundle" in from_line.stderr


@pytest.mark.parametrize("arguments", [("streams", "list"), ("masks", "tail", "cam-1", "--timeout", "0")])
def test_subcommands_share_the_address_of_redis(folder: Path, arguments: tuple[str, ...]) -> None:
    shown = narrows(folder, *arguments)
    assert "Redis at redis://***@127.0.0.1:1/0 does not answer" in shown.stderr
    assert "hunter2" not in shown.stderr


@pytest.mark.parametrize("by", ["option", "variable"])
def test_another_file_is_chosen_by_option_or_variable(folder: Path, by: str) -> None:
    (folder / "other.toml").write_text('[orchestrate]\nbundle = ["from-another"]\n')
    option, variable = (["--config", "other.toml"], {}) if by == "option" else ([], {"NARROWS_CONFIG": "other.toml"})
    assert "from-another is no bundle" in narrows(folder, "orchestrate", *option, **variable).stderr


def test_every_option_has_a_variable(folder: Path) -> None:
    shown = narrows(folder, "demo", NARROWS_DEMO_STREAMS="65")
    assert shown.returncode == 2
    assert "less than or equal to 64" in shown.stderr


def test_a_wrong_key_stops_every_command_with_one_line(folder: Path) -> None:
    (folder / "narrows.toml").write_text("[edge]\nfsp = 5\n")
    shown = narrows(folder, "streams", "list")
    assert shown.returncode == 1
    assert shown.stderr == "narrows: narrows.toml:2: there is no key 'fsp' in [edge]; did you mean 'fps'?\n"


def test_help_is_given_even_so(folder: Path) -> None:
    (folder / "narrows.toml").write_text("[edge]\nfsp = 5\n")
    assert narrows(folder, "edge", "--help").returncode == 0


def test_config_show_tells_values_and_sources_without_passwords(folder: Path) -> None:
    shown = narrows(folder, "config", "show", "--json", NARROWS_TRITON="host:1")
    found = {(each["section"], each["key"]): each for each in map(json.loads, shown.stdout.splitlines())}
    assert found["redis", "url"]["value"] == '"redis://***@127.0.0.1:1/0"'
    assert found["redis", "url"]["source"] == "narrows.toml:2"
    assert found["triton", "address"]["source"] == "environment NARROWS_TRITON"
    assert found["orchestrate", "http"]["source"] == "default"
    assert "hunter2" not in shown.stdout


def test_config_show_of_an_unknown_section_names_the_nearest(folder: Path) -> None:
    assert "did you mean 'edge'?" in narrows(folder, "config", "show", "egde").stderr


def test_config_show_hides_tokens(folder: Path) -> None:
    shown = narrows(folder, "config", "show", "page", NARROWS_PAGE_TOKEN="s3cret-of-ours").stdout
    assert "environment NARROWS_PAGE_TOKEN" in shown
    assert "s3cret-of-ours" not in shown
