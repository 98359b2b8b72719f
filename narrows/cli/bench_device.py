"""``narrows bench-device``: what networks take on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from narrows.cli.number_options import MOST_THREADS
from narrows.cli.written_paths import file_to_write
from narrows.runtime.writing import write_file

_SHOWN_OPERATORS = 6


def bench_device(
    models: Annotated[list[Path] | None, typer.Argument(help="ONNX files: a bundle's encoder.int8.onnx, say.")] = None,
    *,
    device: Annotated[
        str, typer.Option(help="Where: local, 'quota CORES' of this machine, 'ssh HOST' or 'ssh HOST PYTHON'.")
    ] = "local",
    json: Annotated[
        Path | None, typer.Option(callback=file_to_write, help="File to write everything to: a line of JSON a network.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Run so long: does it slow down as it gets warm?")] = 0.0,
    runs: Annotated[int, typer.Option(min=1, help="Runs to measure, at least.")] = 20,
    seconds: Annotated[float, typer.Option(min=0, help="Time to measure, at least.")] = 5.0,
    threads: Annotated[int, typer.Option(min=1, max=MOST_THREADS, help="Threads of ONNX Runtime.")] = 1,
    write_probe: Annotated[
        Path | None,
        typer.Option(
            callback=file_to_write, help="Write the one file that measures, to copy to a device by hand, and end."
        ),
    ] = None,
) -> None:
    """Measure networks on a device: latency, throughput, memory, energy, heat, and the time of each operator.

    A quota is a control group, or where none may be made a process that is stopped while it has had its share. A device
    behind ssh needs python3 with onnxruntime and numpy; so does one that the file of --write-probe is copied to. The
    JSON is what `narrows advise --measured` and `make bench-frontier ARGS="--measured FILE"` read.

    Example: narrows bench-device bundles/demo/encoder.int8.onnx --device 'quota 0.1'

    Example: narrows bench-device bundles/demo/encoder.int8.onnx --device 'ssh camera-3' --minutes 10 --json camera.json

    Example: narrows bench-device --write-probe probe.py  # there: python3 probe.py encoder.int8.onnx > camera.json
    """
    from narrows.cli.split import device_named
    from narrows.contract.errors import ConfigError
    from narrows.models.split.device import PROBE, Effort
    from narrows.models.split.measurements import write_measurements

    if write_probe is not None:
        write_file(write_probe, PROBE.read_bytes())
        print(f"{write_probe}: copy it beside a network, and run python3 {write_probe.name} MODEL.onnx > measured.json")
        return
    if not models:
        raise ConfigError("no network was named: narrows bench-device bundles/demo/encoder.int8.onnx")
    if missing := [path for path in models if not path.is_file()]:
        raise ConfigError(f"{missing[0]} is no file: name ONNX files")
    found, least_s = [], max(seconds, 60 * minutes)
    with device_named(device) as there:
        for path in models:
            typer.echo(f"measuring {path.name}, at least {least_s:g} s ...", err=True)
            measured = there.measure(path.read_bytes(), Effort(runs, seconds, threads, minutes))
            found.append({**measured.record, "model": path.name, "device": device})
            _print(found[-1])
            if json is not None:  # what comes may fail, after many minutes of what is done
                write_measurements(json, found)
    if json is not None:
        print(f"all of it is in {json}")


def _print(record: Mapping[str, Any]) -> None:
    latency = record["latency_ms"]
    shown = "  ".join(f"{name} {value:.2f}" for name, value in latency.items())
    print(f"{record['model']} on {record['device']} ({record['machine']}, ONNX Runtime {record['runtime']})")
    print(f"  latency, ms      {shown}")
    processor_ms = record["processor_s"] * 1e3
    print(f"  throughput       {record['frames_per_s']:.1f} a second, {processor_ms:.2f} ms of processor a run")
    print(f"  memory           {_memory(record)}")
    joules = record["energy_j"]
    energy = "no sensor tells" if joules is None else f"{joules * 1e3:.1f} mJ a run, whole machine"
    print(f"  energy           {energy}{'' if joules is None else ' (' + record['energy_source'] + ')'}")
    if record["windows"]:
        print(f"  over time        {_over_time(record['windows'], record['slowdown'])}")
    total = sum(record["operators"].values()) or 1.0
    some = list(record["operators"].items())[:_SHOWN_OPERATORS]
    print("  operators        " + ", ".join(f"{name} {us / 1e3:.2f} ms ({us / total:.0%})" for name, us in some))


def _memory(record: Mapping[str, Any]) -> str:
    peak, before = record["rss_peak_bytes"], record["rss_before_bytes"]
    if peak is None or before is None:
        return "this system does not tell"
    return f"{peak / 1e6:.0f} MB resident at most, {(peak - before) / 1e6:.0f} of them for the network"


def _over_time(windows: Sequence[Mapping[str, Any]], slowdown: float | None) -> str:
    last = windows[-1]
    parts = [f"{len(windows)} windows of 10 s"]
    if slowdown is not None:
        parts.append(f"the last takes {slowdown:.2f} of the first's time")
    parts += [f"{last['temperature_c']:.0f} degrees at the end"] if last["temperature_c"] is not None else []
    parts += [f"{last['clock_mhz']:.0f} MHz"] if last["clock_mhz"] is not None else []
    return ", ".join(parts)
