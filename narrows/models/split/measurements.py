"""What was measured of networks on devices, as files keep it: a line of JSON a network, as the probe prints it.

`narrows bench-device --json FILE` writes such a file, and so does `python3 probe.py MODEL > FILE` on a device.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narrows.contract.errors import RecordError
from narrows.contract.json_text import decode_object
from narrows.runtime.writing import write_file

_MOST_BYTES = 1 << 22


@dataclass(frozen=True)
class DeviceMeasurement:
    """One network on one device.

    Attributes:
        sha256: of the network's file.
        model: its name.
        device: as ``--device`` named it; what runs the probe by hand leaves it empty.
        latency_ms: by ``p50`` to ``p99`` and ``max``.
        rss_peak_bytes: the most that was resident; ``None`` where the system does not tell.
        energy_j: of a run, the whole machine; ``None`` where nothing counts.
        slowdown: the last ten seconds' median over the first's; ``None`` of less than two such.
        processor_s: of a run; ``None`` in files that do not say it.
        nodes_us: name and microseconds of each node, in the order of a run.
    """

    sha256: str
    model: str
    device: str
    latency_ms: Mapping[str, float]
    rss_peak_bytes: int | None
    energy_j: float | None
    slowdown: float | None
    processor_s: float | None = None
    nodes_us: tuple[tuple[str, float], ...] = ()

    @property
    def busy_ms(self) -> float:
        """What a frame takes of the device's share of a processor, one after the other.

        Processor time hardly depends on what else a machine does; where it is not known it is the median latency.
        """
        if self.processor_s is None:
            return self.latency_ms["p50"]
        return busy_ms({"processor_s": self.processor_s}, self.device)


def busy_ms(record: Mapping[str, Any], device: str) -> float:
    """As :attr:`DeviceMeasurement.busy_ms`, of what a probe printed. More than one core is no faster for one frame."""
    return 1e3 * float(record["processor_s"]) / min(1.0, _cores(device))


def _cores(device: str) -> float:
    """Of ``quota CORES``; else 1.

    Raises:
        ValueError: that is no number above 0.
    """
    kind, _, text = device.replace(":", " ", 1).partition(" ")
    cores = float(text) if kind == "quota" else 1.0
    if not 0 < cores < math.inf:
        raise ValueError(f"a quota of {text} cores")
    return cores


def write_measurements(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """A line of JSON for each."""
    write_file(path, "".join(json.dumps(record) + "\n" for record in records))


def read_measurements(path: Path) -> Mapping[str, DeviceMeasurement]:
    """By the sha256 of the networks' files; of two measurements of one network the later counts.

    Raises:
        RecordError: the file is missing, or a line is no measurement.
    """
    if not path.is_file():
        raise RecordError(f"{path} is missing: `narrows bench-device MODEL --json {path}` writes it")
    found = [_parse(line, f"{path}:{number}") for number, line in enumerate(path.read_bytes().splitlines(), 1)]
    if not found:
        raise RecordError(f"{path} is empty: `narrows bench-device MODEL --json {path}` writes it")
    return {each.sha256: each for each in found}


def _parse(line: bytes, what: str) -> DeviceMeasurement:
    record = decode_object(line, what=what, most_bytes=_MOST_BYTES)
    try:
        _cores(str(record.get("device", "")))
        return DeviceMeasurement(
            sha256=str(record["sha256"]),
            model=str(record["model"]),
            device=str(record.get("device", "")),
            latency_ms=_latencies(record["latency_ms"]),
            rss_peak_bytes=None if record["rss_peak_bytes"] is None else int(_amount(record["rss_peak_bytes"])),
            energy_j=None if record["energy_j"] is None else _amount(record["energy_j"]),
            slowdown=None if record["slowdown"] is None else _time(record["slowdown"]),
            processor_s=None if record.get("processor_s") is None else _time(record["processor_s"]),
            nodes_us=tuple((str(name), _amount(us)) for name, us in record.get("nodes", ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{what} is no measurement of `narrows bench-device`: {error!r}") from None


def _latencies(found: Mapping[str, Any]) -> Mapping[str, float]:
    latency_ms = {str(name): _time(value) for name, value in found.items()}
    if "p50" not in latency_ms:
        raise KeyError("p50")
    return latency_ms


def _time(value: float) -> float:
    """What takes less than no time would win any search."""
    if not 0 < (found := float(value)) < math.inf:
        raise ValueError(f"{value!r}: a run takes time, and ends")
    return found


def _amount(value: float) -> float:
    if not 0 <= (found := float(value)) < math.inf:
        raise ValueError(f"{value!r} is no amount")
    return found
