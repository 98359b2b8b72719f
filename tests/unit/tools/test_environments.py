from pathlib import Path

import pytest

from tools.environments import CODER, Environment, Step, planned

ROOT = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    (tmp_path / "limits.txt").write_text("numpy==1.0\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / "built.so").touch()
    return Environment(".venv", (Step("install", ("-m", "pip")),), ("limits.txt",), ("*.so",))


def test_an_environment_is_stale_until_it_is_marked(environment: Environment, tmp_path: Path) -> None:
    assert not environment.is_current(tmp_path)
    environment.mark_current(tmp_path)
    assert environment.is_current(tmp_path)


def test_a_changed_input_makes_it_stale(environment: Environment, tmp_path: Path) -> None:
    environment.mark_current(tmp_path)
    (tmp_path / "limits.txt").write_text("numpy==2.0\n")
    assert not environment.is_current(tmp_path)


def test_a_changed_step_makes_it_stale(environment: Environment, tmp_path: Path) -> None:
    environment.mark_current(tmp_path)
    other = Environment(environment.name, (Step("install", ("-m", "pip", "-e")),), environment.inputs)
    assert not other.is_current(tmp_path)


def test_a_missing_product_makes_it_stale(environment: Environment, tmp_path: Path) -> None:
    environment.mark_current(tmp_path)
    (tmp_path / "built.so").unlink()
    assert not environment.is_current(tmp_path)


def test_every_input_of_the_real_environments_exists() -> None:
    for environment in planned(dev=True, train=True, compiler=True):
        assert environment.digest(ROOT)


def test_a_change_of_any_source_of_the_coders_compiles_them_anew() -> None:
    folder = ROOT / "narrows/contract/codec"
    assert {name for name in CODER if not name.endswith(".py")} == {path.name for path in folder.glob("*.[ch]")}
    for each in planned(dev=False, train=True, compiler=True):
        assert not each.products or {f"narrows/contract/codec/{name}" for name in CODER} <= set(each.inputs)


def test_only_the_workshop_gets_torch() -> None:
    with_torch = [
        e.name for e in planned(dev=True, train=True, compiler=True) if ",train," in str(e.steps[0].arguments)
    ]
    assert with_torch == [".venv-train"]
    assert ".venv-train" not in [e.name for e in planned(dev=True, train=False, compiler=True)]


def test_without_a_compiler_ziglang_is_installed() -> None:
    with_zig = [e.name for e in planned(dev=True, train=True, compiler=False) if "ziglang" in str(e.steps)]
    assert with_zig == [".venv", ".venv-train"]
    assert "ziglang" not in str(planned(dev=True, train=True, compiler=True))


def test_who_only_runs_it_does_not_wait_for_the_tools_of_tests() -> None:
    runs, tests = (planned(dev=dev, train=False, compiler=True) for dev in (False, True))
    assert "dev" not in str(runs)
    assert [each.name for each in tests] == [*[each.name for each in runs], ".venv"]


def test_the_lowest_versions_have_an_environment_of_their_own_beside_the_usual_test_tools() -> None:
    added = planned(dev=True, train=False, compiler=True, lowest=True)[-1]
    assert (added.name, added.inputs) == (".venv-lowest", ("pyproject.toml", "constraints.txt"))
    *_, lowest, tools = (each.arguments for each in added.steps)
    assert "lowest-direct" in lowest
    assert not any("==" in each for each in lowest)
    assert {"pytest", "pytest-xdist", "hypothesis"} <= {each.partition("==")[0] for each in tools}
    assert ".venv-lowest" not in [each.name for each in planned(dev=True, train=True, compiler=True)]


def test_what_is_proprietary_is_fetched_only_where_it_is_asked_for() -> None:
    usual = planned(dev=True, train=True, compiler=True, lowest=True)
    assert "tensorrt" not in str(usual)
    added = planned(dev=False, train=False, compiler=True, engines=True)[-1]
    assert added.name == ".venv-engines"
    assert all("--no-deps" in each.arguments for each in added.steps)


def test_the_tools_have_a_stamp_of_their_own() -> None:
    stamps = [(each.name, each.stamp) for each in planned(dev=True, train=True, compiler=True)]
    assert len(set(stamps)) == len(stamps)
