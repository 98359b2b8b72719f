"""A plugin for pytest: what the tests said, and whether it was a claim that failed or something else.

A test that cannot be imported, or runs into an error of another kind, has noticed nothing: only an assertion has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

VARIABLE = "NARROWS_MUTANT_VERDICT"
"""Names the file that is written, JSON: ``{"passed": 3, "failed": ["TEST: claim"], "broken": ["TEST: error"]}``."""


class _Verdict:
    def __init__(self) -> None:
        self.passed = 0
        self.failed: list[str] = []
        self.broken: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[None]:  # a wrapper's result is passed on
        report = yield
        if call.excinfo is None:
            self.passed += call.when == "call"
        elif not call.excinfo.errisinstance(pytest.skip.Exception):
            said = f"{item.nodeid}: {call.excinfo.exconly().splitlines()[0][:200]}"
            (self.failed if is_claim(call.excinfo.value) else self.broken).append(said)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(f"{report.nodeid}: {str(report.longrepr).splitlines()[-1][:200]}")

    def pytest_sessionfinish(self) -> None:
        found = {"passed": self.passed, "failed": self.failed, "broken": self.broken}
        Path(os.environ[VARIABLE]).write_text(json.dumps(found))


def is_claim(error: BaseException) -> bool:
    """Whether a test failed because a claim of its own is not true; one among several is enough."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_claim, error.exceptions))
    return isinstance(error, (AssertionError, pytest.fail.Exception))


def pytest_configure(config: pytest.Config) -> None:
    """Be there where somebody waits for a verdict."""
    if VARIABLE in os.environ:
        config.pluginmanager.register(_Verdict(), "narrows-verdict")
