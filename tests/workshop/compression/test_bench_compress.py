"""The bench of compressions: the rows that it keeps are of one bundle, one length and the same frames."""

from pathlib import Path

import pytest

from benchmarks.compress import __main__ as bench
from tests.docs.blocks import ROOT
from tests.workshop.export.small_data import made_up

CLASSES = {"classes": ["a", "b", "void"], "ignore_index": 2, "palette": [[0, 0, 0]] * 3}


def test_rows_of_another_length_are_not_shown_as_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made_up(tmp_path / "data", 3, CLASSES)
    (data.root / "val.txt").write_text("s0")
    figures = {"miou": 0.5, "float_miou": None, "bits_per_pixel": 0.1, "encoder_mb": 1.0, "encoder_gmac": 1.0}
    figures |= {"encoder_ms": 1.0, "peak_mb": None}
    monkeypatch.setattr(bench, "reference", lambda *_: {"name": "as it is", **figures})
    monkeypatch.setattr(bench, "row", lambda name, *_: {"name": name, **figures})

    def run(*words: str) -> int:
        given = ["--data", str(data.root), "--bundle", str(ROOT / "bundles/demo"), "--run", str(tmp_path / "run")]
        monkeypatch.setattr("sys.argv", ["bench-compress", *given, "--only", "PTQ", *words])
        return bench.main()

    assert run("--epochs", "2", "--only", "PTQ", "QAT ") == 1
    assert "--only 'QAT ': no such row; there are PTQ, " in capsys.readouterr().err
    assert run("--epochs", "2") == run("--epochs", "2") == 0
    capsys.readouterr()
    assert run("--epochs", "3") == 1
    assert "was begun with epochs 2, now 3" in capsys.readouterr().err
