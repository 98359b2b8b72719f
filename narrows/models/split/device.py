"""Where a network is measured: here, here under a quota of the processor, or on a machine that `ssh` reaches."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from narrows.contract.errors import ProfilingFailed
from narrows.models.split import coding_probe, probe
from narrows.runtime.surroundings import scratch_folder

PROBE, CODING_PROBE = Path(probe.__file__), Path(coding_probe.__file__)
_MOST_S = 900
_GIVEN = "given"
"""The file that a probe is given."""


@dataclass(frozen=True)
class Measured:
    """What the probe found.

    Attributes:
        runtime: the version of ONNX Runtime there.
        whole_ms: milliseconds of runs of the whole network.
        processor_s: processor seconds of a run.
        energy_j: joules of a run, of the whole machine; ``None`` where nothing counts them.
        nodes: name and microseconds of each node that was run.
        energy_source: what counted them.
        record: all that the probe printed.
    """

    runtime: str
    whole_ms: tuple[float, ...]
    processor_s: float
    energy_j: float | None
    nodes: tuple[tuple[str, float], ...]
    energy_source: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Coded:
    """What the coding probe found.

    Attributes:
        processor_ms: of each way of the job, to code and to decode.
        stretch: how many times as long as its processor time the job took.
    """

    processor_ms: tuple[tuple[float, float], ...]
    stretch: float = 1.0


@dataclass(frozen=True)
class Effort:
    """How much is measured: runs, and seconds or minutes, whichever is longer; with how many threads."""

    runs: int = 20
    seconds: float = 1.0
    threads: int = 1
    minutes: float = 0.0

    @property
    def options(self) -> tuple[str, ...]:
        """As the probe takes it."""
        return tuple(f"--{name}={value}" for name, value in asdict(self).items())


class Device(Protocol):
    """Where a network is run to be measured."""

    def measure(self, model: bytes, effort: Effort) -> Measured:
        """Run a serialised network.

        Raises:
            ProfilingFailed: the device is not reached, or cannot run it.
        """
        ...

    def time_coding(self, job: coding_probe.Job) -> Coded:
        """Code and decode in each way of a job.

        Raises:
            ProfilingFailed: as above; or the device lacks the coder, which is part of this package.
        """
        ...


@dataclass(frozen=True)
class Local:
    """This machine.

    Attributes:
        launcher: is put before the command, to run it in a control group, say.
        cores: share of the processor that the probe keeps to by itself, where there is no control group.
    """

    launcher: Sequence[str] = ()
    cores: float | None = None

    def measure(self, model: bytes, effort: Effort) -> Measured:
        """Run the probe.

        Raises:
            ProfilingFailed: ONNX Runtime refuses the network, or takes too long.
        """
        return _parse(self._probe(PROBE, model, effort.options, _most_s(effort)))

    def time_coding(self, job: coding_probe.Job) -> Coded:
        """Run the coding probe.

        Raises:
            ProfilingFailed: it fails, or takes too long.
        """
        return _parse_coded(self._probe(CODING_PROBE, msgspec.msgpack.encode(job), (), _MOST_S))

    def _probe(self, program: Path, data: bytes, options: Sequence[str], most_s: float) -> bytes:
        with scratch_folder() as folder:
            path = folder / _GIVEN
            path.write_bytes(data)
            share = [] if self.cores is None else [f"--cores={self.cores}"]
            return _run([*self.launcher, sys.executable, str(program), str(path), *options, *share], most_s)


@dataclass(frozen=True)
class Remote:
    """A machine that `ssh HOST` reaches without a question, and a Python there that has onnxruntime and numpy."""

    host: str
    python: str = "python3"

    def measure(self, model: bytes, effort: Effort) -> Measured:
        """Copy the probe and the network there, run it, and remove both.

        Raises:
            ProfilingFailed: it is not reached, or the probe fails there.
        """
        return _parse(self._probe(PROBE, model, effort.options, _most_s(effort)))

    def time_coding(self, job: coding_probe.Job) -> Coded:
        """Copy the coding probe and the job there, run it, and remove both.

        Raises:
            ProfilingFailed: it is not reached, or this package is not there.
        """
        return _parse_coded(self._probe(CODING_PROBE, msgspec.msgpack.encode(job), (), _MOST_S))

    def _probe(self, program: Path, data: bytes, options: Sequence[str], most_s: float) -> bytes:
        with self._folder() as there:
            self._write(f"{there}/{_GIVEN}", data)
            self._write(f"{there}/{program.name}", program.read_bytes())
            words = [self.python, f"{there}/{program.name}", f"{there}/{_GIVEN}", *options]
            return self._ssh(shlex.join(words), most_s=most_s)

    @contextmanager
    def _folder(self) -> Iterator[str]:
        folder = self._ssh("mktemp -d").decode().strip()
        try:
            yield folder
        finally:
            self._ssh(f"rm -rf {shlex.quote(folder)}")

    def _write(self, path: str, data: bytes) -> None:
        self._ssh(f"cat > {shlex.quote(path)}", data)

    def _ssh(self, command: str, data: bytes = b"", most_s: float = _MOST_S) -> bytes:
        return _run(["ssh", "-o", "BatchMode=yes", "--", self.host, command], most_s, data)


def _most_s(effort: Effort) -> float:
    return _MOST_S + effort.seconds + 60 * effort.minutes


def _run(words: Sequence[str], most_s: float, data: bytes = b"") -> bytes:
    try:
        done = subprocess.run(words, input=data, capture_output=True, timeout=most_s, check=False)
    except OSError as error:
        raise ProfilingFailed(f"{words[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ProfilingFailed(f"{words[0]} was not done after {most_s:g} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise ProfilingFailed(f"{' '.join(words[:5])} … failed ({done.returncode}): {said[-1]}")
    return done.stdout


def _parse(printed: bytes) -> Measured:
    try:
        found: dict[str, Any] = json.loads(printed)
        return Measured(
            runtime=str(found["runtime"]),
            whole_ms=tuple(map(float, found["whole_ms"])),
            processor_s=float(found["processor_s"]),
            energy_j=None if found["energy_j"] is None else float(found["energy_j"]),
            nodes=tuple((str(name), float(dur)) for name, dur in found["nodes"]),
            energy_source=None if found["energy_source"] is None else str(found["energy_source"]),
            record=found,
        )
    except (ValueError, KeyError, TypeError):
        raise ProfilingFailed(f"the device answered {printed[:80]!r}, which is no measurement") from None


def _parse_coded(printed: bytes) -> Coded:
    try:
        found: dict[str, Any] = json.loads(printed)
        pairs = tuple((float(encode_ms), float(decode_ms)) for encode_ms, decode_ms in found["processor_ms"])
        return Coded(pairs, float(found["stretch"]))
    except (ValueError, KeyError, TypeError):
        raise ProfilingFailed(f"the device answered {printed[:80]!r}, which is no time of a coder") from None
