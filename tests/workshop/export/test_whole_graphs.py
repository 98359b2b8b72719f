"""Graphs that are kept in run folders are whole there, or not there at all."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from narrows.models.export import graphs
from narrows.models.export.int8_throughout import quantise_throughout
from narrows.models.export.resources import write_and_count


def kill(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_graph_whose_writing_is_killed_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run folders take what is there for what is done."""
    network, picture, path = nn.Conv2d(3, 4, 3), [torch.zeros(1, 3, 8, 8)], tmp_path / "camera.onnx"
    with monkeypatch.context() as patched:
        patched.setattr(graphs, "_stripped", kill)
        with pytest.raises(KeyboardInterrupt):
            write_and_count(network, picture, path)
    assert list(tmp_path.iterdir()) == []
    assert write_and_count(network, picture, path).macs > 0
    feeds = [{"input0": np.ones((1, 3, 8, 8), np.float32)}]
    with monkeypatch.context() as patched:
        patched.setattr(onnx.checker, "check_model", kill)
        with pytest.raises(KeyboardInterrupt):
            quantise_throughout(path, feeds, tmp_path / "int8.onnx")
    assert list(tmp_path.iterdir()) == [path]
    quantise_throughout(path, feeds, tmp_path / "int8.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "int8.onnx"))
