"""The table of planted faults applies to the tree as it is, and a fault that no claim catches counts as survived."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.mutants.mutant import Mutant, MutantRotten
from benchmarks.mutants.table import MUTANTS
from benchmarks.mutants.verdict import is_claim

ROOT = Path(__file__).parents[3]
PARTS = (
    *(
        "orchestrator/dispatch",
        "narrows/contract/codec",
        "narrows/contract/wire",
        "edge_client/spool",
        "narrows/contract/seal",
    ),
    "orchestrator/scaling",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_planted(mutant: Mutant) -> None:
    changed = mutant.applied_to((ROOT / mutant.file).read_text())
    if mutant.file.endswith(".py"):
        ast.parse(changed)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_test_that_should_catch_it_is_there(mutant: Mutant) -> None:
    file, _, name = mutant.test.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name.partition("[")[0] in functions


def test_there_are_thirty_of_every_part_and_no_two_are_alike() -> None:
    assert len(MUTANTS) >= 30
    assert [part for part in PARTS if not any(mutant.file.startswith(part) for mutant in MUTANTS)] == []
    assert Counter(mutant.name for mutant in MUTANTS).most_common(1)[0][1] == 1
    assert Counter((mutant.file, mutant.find, mutant.replacement) for mutant in MUTANTS).most_common(1)[0][1] == 1


@pytest.mark.parametrize("text", ["nothing of it", "find find"])
def test_a_mutant_whose_text_is_not_there_once_is_an_error_by_its_name(tmp_path: Path, text: str) -> None:
    mutant = Mutant("the fault", "file.txt", "find", "replace", "test")
    (tmp_path / "file.txt").write_text(text)
    with pytest.raises(MutantRotten, match="the fault"), mutant.planted(tmp_path):
        pass
    assert (tmp_path / "file.txt").read_text() == text


def test_what_was_planted_is_taken_out_again_whatever_happens(tmp_path: Path) -> None:
    mutant = Mutant("the fault", "file.txt", "find", "replace", "test")
    (tmp_path / "file.txt").write_text("find it")
    planted = mutant.planted(tmp_path)
    planted.__enter__()
    assert (tmp_path / "file.txt").read_text() == "replace it"
    with pytest.raises(KeyboardInterrupt):
        planted.gen.throw(KeyboardInterrupt())
    assert (tmp_path / "file.txt").read_text() == "find it"


def test_only_a_claim_catches_a_fault() -> None:
    assert is_claim(AssertionError())
    assert is_claim(pytest.fail.Exception("DID NOT RAISE"))
    assert is_claim(ExceptionGroup("of a task group", [ValueError(), ExceptionGroup("", [AssertionError()])]))
    assert not is_claim(ImportError())
    assert not is_claim(ExceptionGroup("of a task group", [ValueError()]))
