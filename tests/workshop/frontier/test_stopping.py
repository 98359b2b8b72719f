"""Benches that go on where they were: stopped by Ctrl-C they say so, and what is wrong they say in a line."""

from importlib import import_module

import pytest

from narrows.contract.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "module", "reads_options"),
    [
        ("train-frontier", "benchmarks.frontier.train", "parse_options"),
        ("bench-frontier", "benchmarks.frontier.__main__", "_options"),
        ("bench-search", "benchmarks.search.__main__", "_options"),
        ("bench-compress", "benchmarks.compress.__main__", "_options"),
    ],
)
def test_a_bench_that_is_stopped_says_that_it_goes_on(
    name: str, module: str, reads_options: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(error: BaseException) -> None:
        raise error

    bench = import_module(module)
    for error, status, said in (
        (KeyboardInterrupt(), 130, "stopped; the same command goes on"),
        (ConfigError("no such thing"), 1, "no such thing"),
    ):
        monkeypatch.setattr(bench, reads_options, lambda error=error: end(error))
        assert bench.main() == status
        assert capsys.readouterr().err == f"{name}: {said}\n"
