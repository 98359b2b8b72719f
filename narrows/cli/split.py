"""``narrows split``: any ONNX network, cut between camera and cloud."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrows.cli.group import command_group
from narrows.contract.errors import ConfigError

if TYPE_CHECKING:
    from narrows.models.split.device import Device

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
        str, typer.Option(help="Where the head is measured: local, 'quota CORES' of this machine, or 'ssh HOST'.")
    ] = "local",
    json: Annotated[Path | None, typer.Option(help="File to write everything to.")] = None,
    input_shape: Annotated[
        str | None, typer.Option(help="Of the input, where the file leaves it open: 1x3x480x640.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs to measure, at least.")] = 20,
    seconds: Annotated[float, typer.Option(min=0, help="Time to measure, at least.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of ONNX Runtime.")] = 1,
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
    from narrows.models.split.profile import as_record
    from narrows.models.split.profile import profile as measure

    network = open_network(model, parse_shape(input_shape))
    with device_named(f"{device} {detail}".strip()) as there:
        found = measure(network, there, None if there == Local() else Local(), Effort(runs, seconds, threads))
    record = as_record(found)
    if json is not None:
        json.write_text(json_module.dumps(record, indent=1) + "\n")
    _print(record)
    if json is not None:
        print(f"all {len(found.cuts)} cuts are in {json}")


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """``1x3x480x640``, or with commas.

    Raises:
        ConfigError: it is neither.
    """
    if text is None:
        return None
    parts = text.replace(",", "x").split("x")
    if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise ConfigError(f"--input-shape {text!r} is no shape: write 1x3x480x640")
    return tuple(map(int, parts))


@contextmanager
def device_named(text: str) -> Iterator[Device]:
    """A device by what ``--device`` says: ``local``, ``quota CORES`` or ``ssh HOST``; a colon does for the space.

    Raises:
        ConfigError: it is none of these.
        QuotaUnavailable: this machine does not let us limit the processor time.
    """
    from narrows.models.split.device import Local, Remote

    kind, _, value = text.replace(":", " ", 1).partition(" ")
    match kind, value.strip():
        case "local", "":
            yield Local()
        case "ssh", host if host and not host.startswith("-"):
            yield Remote(host)
        case "quota", cores if _is_share(cores):
            with _limited(float(cores)) as launched:
                yield launched
        case _:
            raise ConfigError(f"--device {text!r} is no device: local, 'quota 0.1' (cores) or 'ssh HOST'")


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1e3
    except ValueError:
        return False


@contextmanager
def _limited(cores: float) -> Iterator[Device]:
    from os import getpid

    from narrows.models.split.device import Local
    from orchestrator.servers.cpu_quota import find_hierarchy

    group = find_hierarchy().group(f"narrows-split-{getpid()}", cores)
    try:
        yield Local(tuple(group.launcher))
    finally:
        group.remove()


def _print(record: dict[str, Any]) -> None:
    alone, served = record["device_only"], record["server_only"]
    print(f"{record['network']}  {record['macs'] / 1e6:,.0f} M multiply-accumulates, {len(record['cuts'])} cuts")
    print(f"  device only  {alone['device_ms']:9.2f} ms, {alone['energy_mj']:.1f} mJ ({record['energy_source']})")
    print(f"  server only  {served['server_ms']:9.2f} ms, {served['input_bytes']:,} bytes of input")
    if not record["cuts"]:
        print("  no cut: serve it whole, on the device or on the server")
        return
    best = _fewest_bytes(record["cuts"])
    print(f"  cuts of fewest bytes for their time on the device ({len(best)}):")
    print(f"  {'head ms':>9} {'tail ms':>9} {'bytes':>12} {'at 8 bits':>12} {'at 4 bits':>12} {'memory':>12}  tensors")
    for cut in best:
        sizes = [cut["bytes"][key] for key in ("native", "8", "4")]
        print(
            f"  {cut['head_ms']:9.2f} {cut['tail_ms']:9.2f} {sizes[0]:12,} {sizes[1]:12,} {sizes[2]:12,} "
            f"{cut['head_memory_bytes']:12,}  {', '.join(cut['tensors'])}"
        )


def _fewest_bytes(cuts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with fewer bytes than any that is as soon reached."""
    best: list[dict[str, Any]] = []
    for cut in sorted(cuts, key=lambda each: (each["head_ms"], each["bytes"]["native"])):
        if not best or cut["bytes"]["native"] < best[-1]["bytes"]["native"]:
            best.append(cut)
    return best
