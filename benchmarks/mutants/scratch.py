"""A copy of the tree in which faults are planted; the tree itself is never touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.mutants import verdict
from benchmarks.mutants.mutant import Mutant
from narrows.contract.errors import ServiceError

_LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "node_modules", "runs", "build", "dist")
)
_LONGEST_S = 180.0


@dataclass(frozen=True)
class Said:
    """What a run of tests said.

    Attributes:
        passed: how many passed.
        failed: those of which a claim was not true.
        broken: those that ended in an error of another kind, or could not begin.
    """

    passed: int
    failed: tuple[str, ...]
    broken: tuple[str, ...]


class Scratch:
    """The copy. Tests run in it with this interpreter, and import from it alone."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self._running: subprocess.Popen[bytes] | None = None
        self._ended = False

    @classmethod
    @contextmanager
    def of(cls, root: Path) -> Iterator[Self]:
        """A copy of ``root`` while the context lasts."""
        with tempfile.TemporaryDirectory(prefix="narrows-mutants-", ignore_cleanup_errors=True) as folder:
            tree = Path(folder) / "tree"
            shutil.copytree(root, tree, ignore=_LEFT_OUT, symlinks=True)
            yield cls(tree)

    def test(self, test: str) -> Said:
        """Run a test; what it leaves behind goes with it."""
        answer = self.tree.parent / "verdict.json"
        answer.unlink(missing_ok=True)
        options = ("-q", "-x", "-p", "benchmarks.mutants.verdict", "-p", "no:cacheprovider")
        self._run("pytest", *options, test, **{verdict.VARIABLE: str(answer)})
        if not answer.is_file():
            return Said(0, (), (f"no verdict: pytest did not start, or took over {_LONGEST_S:g} s",))
        found = json.loads(answer.read_text())
        return Said(found["passed"], tuple(found["failed"]), tuple(found["broken"]))

    def try_mutant(self, mutant: Mutant) -> Said:
        """Run a mutant's test with the fault planted.

        Raises:
            MutantRotten: it cannot be planted.
            ServiceError: what it is planted in is no program any more.
        """
        compiled = mutant.file.endswith((".c", ".h"))
        try:
            with mutant.planted(self.tree):
                if compiled:
                    self._compile()
                elif mutant.file.endswith(".py"):
                    _check_syntax(mutant, (self.tree / mutant.file).read_text())
                return self.test(mutant.test)
        finally:
            if compiled:
                self._compile()

    def end(self) -> None:
        """End what runs, from another thread; whatever begins after it ends at once."""
        self._ended, running = True, self._running
        if running is not None:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)

    def _compile(self) -> None:
        if self._run("narrows.contract.codec.build"):
            raise ServiceError("the symbol coder does not compile: python -m narrows.contract.codec.build says why")

    def _run(self, module: str, *arguments: str, **variables: str) -> int:
        """Run a module of the copy, in a session that is ended in any case: a fault may leave processes behind."""
        environment = {**os.environ, "PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1", **variables}
        command = [sys.executable, "-m", module, *arguments]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=self.tree, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
        ) as process:
            self._running = process
            if self._ended:
                self.end()
            try:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(_LONGEST_S)
                return -1
            finally:
                self._running = None
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _check_syntax(mutant: Mutant, text: str) -> None:
    try:
        compile(text, mutant.file, "exec")
    except SyntaxError as error:
        raise ServiceError(f"{mutant.name}: {mutant.file} is no Python any more: {error}") from None
