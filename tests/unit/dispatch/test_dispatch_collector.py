"""A dispatcher looks for cyclic garbage seldom, and finds it all the same."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from narrows.runtime.collector import collect_seldom
from orchestrator.dispatch import program


@pytest.fixture
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


class Node:
    def __init__(self) -> None:
        self.itself = self


def _made(cycles: int) -> list[weakref.ref[Node]]:
    return [weakref.ref(Node()) for _ in range(cycles)]


@pytest.mark.usefixtures("as_before")
def test_garbage_that_refers_to_itself_is_found_as_more_is_made() -> None:
    collect_seldom()
    made = _made(50_000)
    assert sum(each() is not None for each in made) < 25_000


@pytest.mark.usefixtures("as_before")
def test_it_looks_seldom_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[int, ...]] = []
    monkeypatch.setattr(program, "run_program", lambda *_args, **_fields: found.append(gc.get_threshold()))

    class Options:
        process, log_level = None, "info"

    program.run_dispatcher(Options())  # type: ignore[arg-type]
    assert found[0][0] == 20_000
    assert gc.get_freeze_count() > 0
