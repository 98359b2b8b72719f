"""``narrows split``: any ONNX network, cut between camera and cloud."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrows.cli.group import command_group
from narrows.cli.saying import say
from narrows.cli.split_compress import compress
from narrows.cli.split_export import export
from narrows.cli.split_plan import explain, pin, unpin
from narrows.cli.written_paths import file_to_write
from narrows.contract.errors import ConfigError, DatasetError
from narrows.runtime.writing import write_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from narrows.models.split.device import Device
    from narrows.models.split.feeding import Normalisation

_SIDES = 1 << 31
"""No side is as long."""
_THREADS = 1024

split = command_group("Split any ONNX network between camera and cloud: where, and at what cost.")


@split.callback()
def group() -> None:
    """Split any ONNX network between camera and cloud: where, and at what cost."""


@split.command()
def profile(
    model: Annotated[Path, typer.Argument(help="ONNX file, as it is.")],
    detail: Annotated[str, typer.Argument(hidden=True)] = "",
    *,
    device: Annotated[
        str,
        typer.Option(
            help="Where the head is measured: local, 'quota CORES' of this machine, 'ssh HOST' or 'ssh HOST PYTHON'."
        ),
    ] = "local",
    json: Annotated[Path | None, typer.Option(callback=file_to_write, help="File to write everything to.")] = None,
    input_shape: Annotated[
        str | None, typer.Option(help="Of the input, where the file leaves it open: 1x3x480x640.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs to measure, at least.")] = 20,
    seconds: Annotated[float, typer.Option(min=0, help="Time to measure, at least.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, max=_THREADS, help="Threads of ONNX Runtime.")] = 1,
) -> None:
    """List every cut of a network: what crosses, time of head and tail, bytes at each precision, memory, energy.

    The head is measured on the device, the tail on this machine. Between two single-tensor cuts the list has, for each
    tensor, the cut of fewest bytes at which it crosses. A network that cannot be split is refused by name, and is
    served whole. A device behind ssh needs python3 with onnxruntime and numpy.

    Example: narrows split profile detector.onnx --json cuts.json

    Example: narrows split profile detector.onnx --device 'ssh camera-3'

    Example: narrows split profile detector.onnx --device 'quota 0.1' --input-shape 1x3x480x640
    """
    from narrows.models.split.device import Effort, Local
    from narrows.models.split.opening import open_network
    from narrows.models.split.profile import as_record, coding_speed
    from narrows.models.split.profile import profile as measure

    network = open_network(model, parse_shape(input_shape))
    with device_named(f"{device} {detail}".strip()) as there:
        found = measure(network, there, None if there == Local() else Local(), Effort(runs, seconds, threads))
        record = as_record(found, coding_speed(found))
    if json is not None:
        write_file(json, f"{json_module.dumps(record, indent=1)}\n".encode())
    _print(record)
    if json is not None:
        print(f"all {len(found.cuts)} cuts are in {json}")


@split.command()
def frontier(
    model: Annotated[Path, typer.Argument(help="ONNX file, as it is.")],
    detail: Annotated[str, typer.Argument(hidden=True)] = "",
    *,
    pictures: Annotated[Path, typer.Option(help="Folder of pictures: half to fit on, half to judge on.")],
    device: Annotated[str, typer.Option(help="As in `narrows split profile`.")] = "local",
    json: Annotated[Path | None, typer.Option(callback=file_to_write, help="File to write every design to.")] = None,
    html: Annotated[
        Path | None, typer.Option(callback=file_to_write, help="Page to write: one file, nothing fetched.")
    ] = None,
    input_shape: Annotated[str | None, typer.Option(help="Of the input, where the file leaves it open.")] = None,
    mean: Annotated[str, typer.Option(help="Taken from values of 0 to 255, of red, green, blue.")] = "0,0,0",
    deviation: Annotated[str, typer.Option(help="Then divided by.")] = "255,255,255",
    bgr: Annotated[bool, typer.Option(help="The network takes blue first.")] = False,
    most: Annotated[int, typer.Option(min=2, help="Pictures to take, evenly over the folder.")] = 32,
    memory_mb: Annotated[
        float | None, typer.Option(min=0, max=1e9, help="The device's, for weights and activations.")
    ] = None,
    operators: Annotated[str | None, typer.Option(help="The device's, with commas; others it cannot run.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs to measure, at least.")] = 20,
    seconds: Annotated[float, typer.Option(min=0, help="Time to measure, at least.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, max=_THREADS, help="Threads of ONNX Runtime.")] = 1,
) -> None:
    """Compare all designs: device only, server only by JPEG or WebP, and cuts at each precision and coding.

    Shown are those than which no other has less device time, bytes, server time and memory at as much agreement with
    the unmodified network. Agreement is of the first output: equal labels, the same greatest channel, or overlap.

    Example: narrows split frontier detector.onnx --pictures photographs --html frontier.html

    Example: narrows split frontier detector.onnx --pictures photographs --memory-mb 8 --operators Conv,Relu,MaxPool
    """
    from narrows.models.split.device import Effort, Local
    from narrows.models.split.feeding import Feeding
    from narrows.models.split.frontier import Limits, all_designs, as_record, pareto
    from narrows.models.split.opening import open_network
    from narrows.models.split.page import frontier_page, row
    from narrows.models.split.profile import profile as measure

    network = open_network(model, parse_shape(input_shape))
    feeding = Feeding.of(network, normalisation_of(mean, deviation, bgr=bgr))
    taken = pictures_of(pictures, most)
    known = None if operators is None else frozenset(each.strip() for each in operators.split(","))
    limits = Limits(None if memory_mb is None else round(memory_mb * 1e6), known)
    with device_named(f"{device} {detail}".strip()) as there:
        found = measure(network, there, None if there == Local() else Local(), Effort(runs, seconds, threads))
        designs = [each for each in all_designs(found, feeding, taken, typer.echo) if limits.admit(each)]
    if not designs:
        raise ConfigError(f"no design fits in {memory_mb or 0:g} MB: allow the device more by --memory-mb")
    best = pareto(designs)
    if json is not None:
        record = {"network": network.name} | as_record(designs, best)
        write_file(json, f"{json_module.dumps(record, indent=1)}\n".encode())
    if html is not None:
        write_file(html, frontier_page(f"{network.name} between camera and cloud", designs, best).encode())
    print(f"{len(designs)} designs fit the device; of these none is better than")
    print(f"  {'bytes':>12} {'device ms':>10} {'server ms':>10} {'memory MB':>10} {'agreement':>10}  design")
    for name, *cells in map(row, best):
        say(f"  {cells[0]:>12} {cells[1]:>10} {cells[2]:>10} {cells[3]:>10} {cells[4]:>10}  {name}")


for _command in (compress, export, pin, unpin, explain):
    split.command()(_command)


def three(option: str, text: str) -> tuple[float, float, float]:
    """Three numbers with commas between.

    Raises:
        ConfigError: it is something else.
    """
    try:
        red, green, blue = map(float, text.split(","))
    except ValueError:
        red = green = blue = nan
    if not all(map(isfinite, (red, green, blue))):
        raise ConfigError(f"{option} {text!r} is not three numbers: write 127.5,127.5,127.5")
    return red, green, blue


def normalisation_of(mean: str, deviation: str, *, bgr: bool) -> Normalisation:
    """As the options say it.

    Raises:
        ConfigError: they are no numbers, or a deviation is 0.
    """
    from narrows.models.split.feeding import Normalisation

    by = three("--deviation", deviation)
    if 0.0 in by:
        raise ConfigError(f"--deviation {deviation!r}: values are divided by it, so none is 0")
    return Normalisation(three("--mean", mean), by, bgr)


def pictures_of(folder: Path, most: int) -> list[NDArray[np.uint8]]:
    """At most so many pictures, evenly over a folder and those in it.

    Raises:
        DatasetError: there are fewer than two.
    """
    from narrows.runtime.pictures import PICTURE_SUFFIXES, read_picture

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if len(paths) < 2:
        raise DatasetError(f"{folder} has {len(paths)} pictures; two are needed, and a few dozen are better")
    count = min(most, len(paths))
    return [read_picture(paths[i * (len(paths) - 1) // (count - 1)]) for i in range(count)]


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """``1x3x480x640``, or with commas.

    Raises:
        ConfigError: it is neither.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.replace(",", "x").split("x")]
    if not all(is_whole(part, _SIDES - 1) for part in parts):
        raise ConfigError(f"--input-shape {text!r} is no shape: write 1x3x480x640")
    return tuple(map(int, parts))


def is_whole(text: str, most: int) -> bool:
    """Whether it is a number from 0 to ``most`` in plain digits; of thousands of them Python makes no number."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most


@contextmanager
def device_named(text: str) -> Iterator[Device]:
    """A device by what ``--device`` says: ``local``, ``quota CORES``, ``ssh HOST`` or ``ssh HOST PYTHON``.

    A colon does for the first space.

    Raises:
        ConfigError: it is none of these.
    """
    from narrows.models.split.device import Local, Remote

    kind, _, value = text.replace(":", " ", 1).partition(" ")
    match kind, value.strip():
        case "local", "":
            yield Local()
        case "ssh", reached if reached and not reached.startswith("-"):
            yield Remote(*reached.split(maxsplit=1))
        case "quota", cores if _is_share(cores):
            with _limited(float(cores)) as launched:
                yield launched
        case _:
            raise ConfigError(
                f"--device {text!r} is no device: local, 'quota 0.1' (cores), 'ssh HOST' or 'ssh HOST PYTHON'"
            )


def _is_share(text: str) -> bool:
    from orchestrator.servers.cpu_quota import LEAST_CORES

    try:
        return LEAST_CORES <= float(text) < 1e3
    except ValueError:
        return False


@contextmanager
def _limited(cores: float) -> Iterator[Device]:
    """In a control group; where none may be made, the probe keeps to its share by itself."""
    from os import getpid

    from narrows.models.split.device import Local
    from orchestrator.servers.cpu_quota import QuotaUnavailable, find_hierarchy

    try:
        group = find_hierarchy().group(f"narrows-split-{getpid()}", cores)
    except QuotaUnavailable as error:
        typer.echo(f"no control group ({error}): the measurement is stopped while it has had its share", err=True)
        yield Local(cores=cores)
        return
    try:
        yield Local(tuple(group.launcher))
    finally:
        group.remove()


def _print(record: dict[str, Any]) -> None:
    alone, served = record["device_only"], record["server_only"]
    say(f"{record['network']}  {record['macs'] / 1e6:,.0f} M multiply-accumulates, {len(record['cuts'])} cuts")
    say(f"  device only  {alone['device_ms']:9.2f} ms, {alone['energy_mj']:.1f} mJ ({record['energy_source']})")
    say(f"  server only  {served['server_ms']:9.2f} ms, {served['input_bytes']:,} bytes of input")
    if not record["cuts"]:
        say("  no cut: serve it whole (narrows split export --whole), or run it on the device")
        return
    best = _fewest_bytes(record["cuts"])
    say(f"  cuts of fewest bytes for their time on the device ({len(best)}):")
    heads = ("head ms", "coder ms", "tail ms"), ("bytes", "at 8 bits", "at 4 bits", "memory")
    say(f"  {' '.join(f'{each:>9}' for each in heads[0])} {' '.join(f'{each:>12}' for each in heads[1])}  tensors")
    for cut in best:
        times = (cut["head_ms"], cut["encode_ms"], cut["tail_ms"])
        sizes = (*(cut["bytes"][key] for key in ("native", "8", "4")), cut["head_memory_bytes"])
        cells = [*(f"{each:9.2f}" for each in times), *(f"{each:12,}" for each in sizes)]
        say(f"  {' '.join(cells)}  {', '.join(cut['tensors'])}")
    say(f"  coder ms: to code what crosses, by the number of values at 8 bits ({record['coding']['source']})")


def _fewest_bytes(cuts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with fewer bytes than any that is as soon reached."""
    best: list[dict[str, Any]] = []
    for cut in sorted(cuts, key=lambda each: (each["head_ms"], each["bytes"]["native"])):
        if not best or cut["bytes"]["native"] < best[-1]["bytes"]["native"]:
            best.append(cut)
    return best
