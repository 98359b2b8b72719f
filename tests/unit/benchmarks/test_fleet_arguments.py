"""``make simulate-fleet`` takes amounts alone, and publishes what its own assumptions give."""

import argparse
import sys

import pytest

from benchmarks.fleet import __main__ as program


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", ""])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no number"):
        program.above_zero(text)


def test_an_amount_is_taken() -> None:
    assert program.above_zero("0.05") == 0.05
    assert program.zero_or_more("0") == 0.0


def test_figures_of_other_assumptions_are_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(program, "scenarios", lambda *_: {})
    monkeypatch.setattr(program, "connect_ms", lambda _: 1.0)
    monkeypatch.setattr(program, "draw", lambda *_: None)
    monkeypatch.setattr(program, "write_result", lambda name, *_: written.append(name))
    for given in (["--core-h", "0.05"], ["--quick"], []):
        monkeypatch.setattr(sys, "argv", ["fleet", *given])
        assert program.main() == 0
        assert written == ([] if given else ["fleet"])
