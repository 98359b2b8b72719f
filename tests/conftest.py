"""Which tests this environment can run: those of the workshop need torch, which no running service has."""

import os
import resource
import signal
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from hypothesis import settings

from narrows.runtime import redact

settings.register_profile("narrows", deadline=None)  # what a busy machine takes is no claim of a test
settings.load_profile("narrows")
collect_ignore = [] if find_spec("torch") else ["workshop"]


def pytest_report_header() -> str:
    """Say which half of the suite this is."""
    return "workshop: included" if find_spec("torch") else "workshop: left out here (no torch), see `make test`"


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's
def pytest_xdist_auto_num_workers() -> int | None:
    """One worker more than there are cores for ``-n auto``: most integration tests wait for servers."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return len(os.sched_getaffinity(0)) + 1


USUAL_FILES = 1024
"""That a program may have open after a login to most Linux systems: what leaks files fails here as it would there."""


def pytest_configure() -> None:
    """Let Ctrl-C mean Ctrl-C to the programs under test, also where a shell started us in the background."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL_FILES, most))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def hang_up_ends() -> Iterator[None]:
    """Let SIGHUP end the programs that a test starts, also where nohup started us."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    """A password that another test made known is an ordinary word in the next one."""
    yield
    redact._Known.values, redact._Known.found = frozenset(), None
