from pathlib import Path

import pytest

from benchmarks import figures


@pytest.mark.parametrize("path", figures.documents(), ids=lambda path: path.name)
def test_every_figure_in_the_documents_is_the_one_that_was_measured(path: Path) -> None:
    text = path.read_text()
    assert figures.render(text) == text, "run `make figures`"


def test_a_changed_figure_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "codec.json").write_text(
        '{"command": "make bench-codec", "machine": "m", "rivals":'
        ' [{"coder": "ours", "bytes": 1234.0, "encode_ms": 0.5, "decode_ms": null}]}'
    )
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    monkeypatch.setattr("benchmarks.record.RESULTS", tmp_path)
    filled = figures.render("<!-- figures:codec -->\n9 ms\n<!-- /figures -->")
    assert "| ours | 1,234 | 0.50 |  |" in filled
    assert "9 ms" not in filled
    assert figures.render(filled) == filled
