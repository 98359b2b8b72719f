"""What each block takes on a device, measured once: a file as `narrows bench-device --json` writes it, a line a block.

A device that nobody can reach from here is asked by hand: `narrows search --write-blocks FOLDER`, and there
`for each in *.onnx; do python3 probe.py $each; done > blocks.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from narrows.contract.errors import ConfigError
from narrows.models.export.int8_throughout import quantise_throughout
from narrows.models.search.blocks import INPUT, Block, write_block
from narrows.models.split.device import Device, Effort
from narrows.models.split.measurements import DeviceMeasurement, read_measurements
from narrows.runtime.surroundings import scratch_folder
from narrows.runtime.writing import write_file

SUFFIX = ".int8.onnx"
_EFFORT = Effort(runs=10, seconds=0.1)
_CALIBRATION_INPUTS = 2
Say = Callable[[str], None]


class Latencies(Protocol):
    """Milliseconds of blocks."""

    def block_ms(self, block: Block) -> float:
        """What a block takes.

        Raises:
            ConfigError: it was not measured, and cannot be.
            ProfilingFailed: the device cannot run it.
        """
        ...


class LatencyTable:
    """A file of measurements that grows: what is not in it is measured on the device, if there is one."""

    def __init__(self, path: Path, device: Device | None, device_name: str = "local") -> None:
        self.path, self._device, self._device_name = path, device, device_name
        if device is not None:
            _drop_torn_line(path)
        self._ms = read_table(path) if path.is_file() and path.stat().st_size else {}

    def __len__(self) -> int:
        return len(self._ms)

    def block_ms(self, block: Block) -> float:
        """What a block takes.

        Raises:
            ConfigError: it was not measured, and there is no device to ask.
            ProfilingFailed: the device cannot run it.
        """
        if block.name not in self._ms:
            self._ms[block.name] = self._measured(block)
        return self._ms[block.name]

    def _measured(self, block: Block) -> float:
        if self._device is None:
            raise ConfigError(
                f"{self.path} has no measurement of block {block.name}: run `narrows search --write-blocks FOLDER`, "
                "and probe.py there on each of them"
            )
        with scratch_folder() as folder:
            graph = folder / f"{block.name}{SUFFIX}"
            write_int8_block(block, graph)
            found = self._device.measure(graph.read_bytes(), _EFFORT)
            line = json.dumps({**found.record, "model": graph.name, "device": self._device_name})
            with self.path.open("a") as table:
                table.write(line + "\n")
            (folder / "line").write_text(line)
            return read_table(folder / "line")[block.name]


def read_table(path: Path) -> dict[str, float]:
    """Milliseconds by the name of the block.

    Raises:
        RecordError: the file is missing, or a line is no measurement.
    """
    return {each.model.removesuffix(SUFFIX): inner_ms(each) for each in read_measurements(path).values()}


def inner_ms(measured: DeviceMeasurement) -> float:
    """Without quantising the inputs and dequantising the result, which whole networks do but once."""
    total = sum(us for _, us in measured.nodes_us)
    if not total:
        return measured.busy_ms
    last = measured.nodes_us[-1][0]
    ends = sum(
        us
        for name, us in measured.nodes_us
        if (name.startswith(INPUT) and "QuantizeLinear" in name) or (name == last and "DequantizeLinear" in name)
    )
    return measured.busy_ms * (1 - ends / total)


def write_int8_block(block: Block, path: Path) -> None:
    """Write a block as the device will run it."""
    chance = np.random.default_rng(1)
    with scratch_folder() as folder:
        write_block(block, folder / "float.onnx")
        feeds = [
            {
                f"{INPUT}{index}": chance.uniform(0, 4, shape).astype(np.float32)
                for index, shape in enumerate(block.input_shapes)
            }
            for _ in range(_CALIBRATION_INPUTS)
        ]
        quantise_throughout(folder / "float.onnx", feeds, path)


def _drop_torn_line(path: Path) -> None:
    """What a killed process left of a line is measured again."""
    data = path.read_bytes() if path.is_file() else b""
    if data and not data.endswith(b"\n"):
        write_file(path, data[: data.rfind(b"\n") + 1])
