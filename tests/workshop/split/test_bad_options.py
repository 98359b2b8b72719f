"""Options of `narrows split` that make no sense are refused before anything is measured, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from narrows.cli.split import split
from narrows.contract.errors import ConfigError, CutUnknown, FileUnwritable, NarrowsError, NotTrainable
from tests.workshop.split.networks import RESIDUAL, written
from tests.workshop.split.test_frontier import folder_of_pictures

QUICK = ["--runs", "1", "--seconds", "0"]


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["export", "--deviation", "0,1,1"], ConfigError, "--deviation '0,1,1': values are divided by it"),
        (["export", "--deviation", "inf,1,1"], ConfigError, "is not three numbers"),
        (["frontier", "--mean", "nan,0,0"], ConfigError, "is not three numbers"),
        (["export", "--cut", "b", "--cut", "b"], ConfigError, "names one cut twice"),
        (["export", "--cut", "b,d", "--cut", "d, b"], ConfigError, "names one cut twice: b,d; d, b"),
        (["export", "--cut", ""], CutUnknown, "no tensor of small do not part it"),
        (["export", "--input-shape", "1x3x8x99999999999999999999"], ConfigError, "is no shape"),
        (["export", "--input-shape", f"1x3x8x{'9' * 5000}"], ConfigError, "is no shape"),
        (["export", "--bits", f"8,{'9' * 5000}"], ConfigError, "precisions are 1 to 16"),
        (["export", "--bits", "8,0"], ConfigError, "precisions are 1 to 16"),
        (["export", "--classes", "binary"], ConfigError, "binary is no text in UTF-8"),
        (["export", "--out", "binary"], FileUnwritable, "binary is a file: name a folder"),
        (["export", "--model-repository", "binary"], FileUnwritable, "binary is a file: name a folder"),
        (["frontier", "--memory-mb", "0", *QUICK], ConfigError, "no design fits in 0 MB"),
        (["frontier", "--json", "pictures"], FileUnwritable, "pictures is a folder: name a file in it"),
        (["frontier", "--html", "binary/f.html"], FileUnwritable, "binary is no folder"),
        (["compress", "--cut", "b", "--run", "binary"], FileUnwritable, "binary is a file: name a folder"),
        (["compress", "--cut", "b", "--out", "binary/x.onnx"], FileUnwritable, "binary is no folder"),
    ],
)
def test_options_are_refused_by_name(
    words: list[str], kind: type[NarrowsError], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(RESIDUAL, tmp_path / "small.onnx")
    folder_of_pictures(tmp_path / "pictures", 4)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    usual = {
        "export": ["--pictures", "pictures"],
        "frontier": ["--pictures", "pictures"],
        "compress": ["--data", "pictures"],
    }
    more = [] if words[0] == "frontier" or "--out" in words else ["--out", "out.onnx"]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind, match=said):
        CliRunner().invoke(split, [words[0], "small.onnx", *words[1:], *usual[words[0]], *more], catch_exceptions=False)
    assert sorted(tmp_path.rglob("*")) == before


FLOAT16 = RESIDUAL.replace("float[", "float16[")
OUTPUT_TOO = RESIDUAL.replace("float[1,5] result)", "float[1,5] result, float[1,4,4,4] b)")
CEILED = RESIDUAL.replace("d = Relu (c)", "d = MaxPool <kernel_shape = [1,1], ceil_mode = 1> (c)")
NOT_A_NUMBER = RESIDUAL.replace("e = Add (d, b)", "z = Sub (b, b)\n  e = Div (z, z)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FLOAT16, "is float16: networks are trained in float32"),
        (OUTPUT_TOO, "b is an output itself"),
        (CEILED, "a MaxPool with ceil_mode"),
        (NOT_A_NUMBER, "is NaN or infinite on"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_run_is_begun(text: str, said: str, tmp_path: Path) -> None:
    model = written(text, tmp_path / "small.onnx")
    if text is FLOAT16:
        model = as_float16(model)
    folder_of_pictures(tmp_path / "pictures", 12)
    words = [
        "compress",
        str(model),
        "--cut",
        "b",
        "--data",
        str(tmp_path / "pictures"),
        "--out",
        str(tmp_path / "x.onnx"),
    ]
    with pytest.raises(NotTrainable, match=said):
        CliRunner().invoke(split, words, catch_exceptions=False)
    assert not (tmp_path / "x.run").exists()


def as_float16(path: Path) -> Path:
    """With weights of that dtype, too."""
    model = onnx.load(path)
    for constant in model.graph.initializer:
        halved = numpy_helper.to_array(constant).astype(np.float16)
        constant.CopyFrom(numpy_helper.from_array(halved, constant.name))
    onnx.save(model, path)
    return path
