"""``narrows split export``: a bundle of a split network, and what Triton needs to serve it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.saying import say
from narrows.cli.written_paths import folder_to_write
from narrows.contract.errors import ConfigError

if TYPE_CHECKING:
    from narrows.contract.bundle import SplitBundle

_MOST_BITS, _PIXEL_BITS = 16, 8


def export(
    model: Annotated[Path, typer.Argument(help="ONNX file, as it is.")],
    *,
    pictures: Annotated[Path, typer.Option(help="Folder of pictures: half to fit on, half to judge on.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Bundle folder to write.")],
    model_repository: Annotated[
        Path | None,
        typer.Option(
            callback=folder_to_write, help="Triton repository to fill with the tails, too.", show_default="none"
        ),
    ] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(
            help="Tensors that cross, with commas between, as `narrows split profile` lists them; repeatable.",
            show_default="those of fewest bytes for their time on the device, --most-cuts of them",
        ),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Send the picture itself and run all of it in the cloud, where it has no cut."),
    ] = False,
    most_cuts: Annotated[int, typer.Option(min=1, max=16, help="Cuts to export where none is named.")] = 3,
    bits: Annotated[str, typer.Option(help="Precisions to plan: the levels of each cut.")] = "16,8,6,4,3,2",
    classes: Annotated[
        Path | None, typer.Option(help="File with a name a line: what labels, scores or channels are called.")
    ] = None,
    device: Annotated[str, typer.Option(help="As in `narrows split profile`.")] = "local",
    input_shape: Annotated[str | None, typer.Option(help="Of the input, where the file leaves it open.")] = None,
    mean: Annotated[str, typer.Option(help="Taken from values of 0 to 255, of red, green, blue.")] = "0,0,0",
    deviation: Annotated[str, typer.Option(help="Then divided by.")] = "255,255,255",
    bgr: Annotated[bool, typer.Option(help="The network takes blue first.")] = False,
    most: Annotated[int, typer.Option(min=2, help="Pictures to take, evenly over the folder.")] = 64,
    name: Annotated[str | None, typer.Option(help="The bundle's name.", show_default="the file's")] = None,
    version: Annotated[str | None, typer.Option(help="The bundle's version.", show_default="today")] = None,
    licence: Annotated[str, typer.Option(help="Of the network.")] = "not stated",
) -> None:
    """Write a network's bundle: the heads for cameras, the tails for Triton, and how what crosses is coded.

    The bundle is used like any other: `narrows edge --bundle`, `narrows orchestrate --bundle`, `narrows evaluate
    --bundle`. Cameras need the heads alone, the cloud the tails alone; both need the plans.

    Example: narrows split export classifier.onnx --pictures photographs --out bundles/classifier
    --mean 127,127,127 --deviation 128,128,128 --model-repository model_repository

    Example: narrows split export detector.onnx --pictures photographs --out bundles/detector --cut relu_7 --cut relu_9

    Example: narrows split export branches.onnx --pictures photographs --out bundles/branches --whole --bits 8,6,5
    """
    from narrows.cli.split import device_named, normalisation_of, parse_shape, pictures_of
    from narrows.models.export.labelling import Labelling
    from narrows.models.split.cuts import cut_at
    from narrows.models.split.device import Effort, Local
    from narrows.models.split.export import write_split_bundle
    from narrows.models.split.feeding import Feeding
    from narrows.models.split.frontier import worthwhile
    from narrows.models.split.opening import open_network
    from narrows.models.split.profile import profile as measure
    from narrows.models.split.shipping import Classes
    from narrows.models.split.whole import open_whole, profile_whole

    if whole and cut:
        raise ConfigError("--whole has no cut: leave --cut out")
    precisions = tuple(each for each in _precisions(bits) if each <= _PIXEL_BITS or not whole) or (_PIXEL_BITS,)
    network = (open_whole if whole else open_network)(model, parse_shape(input_shape))
    feeding = Feeding.of(network, normalisation_of(mean, deviation, bgr=bgr))
    taken, names = pictures_of(pictures, most), class_names(classes)
    label = Labelling(name or network.name, version or f"{datetime.now(UTC):%Y-%m-%d}", licence, f"{model.name}, split")
    named = [cut_at(network, [each.strip() for each in tensors.split(",")]) for tensors in cut or ()]
    if len({each.names for each in named}) < len(named):
        raise ConfigError(f"--cut names one cut twice: {'; '.join(cut or ())}")
    with device_named("local" if whole else device) as there:
        if whole:
            found = profile_whole(network, feeding, Effort(5, 0.2))
        else:
            found = measure(network, there, None if there == Local() else Local(), Effort(5, 0.2))
        cuts = found.cuts if whole else named or worthwhile(found, most_cuts)
        bundle = write_split_bundle(
            found, cuts, feeding, taken, label, Classes(names), out, bits=precisions, say=typer.echo
        )
    print_bundle(bundle)
    if model_repository is not None:
        from narrows.contract.bundle import models_of
        from narrows.runtime.triton_config import fill_repository

        for tail in models_of(bundle):
            print(f"filled {fill_repository(tail, model_repository)}")


def class_names(path: Path | None) -> tuple[str, ...]:
    """Of a file with a name a line; none without a file.

    Raises:
        ConfigError: it cannot be read.
    """
    if path is None:
        return ()
    try:
        return tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    except OSError as error:
        raise ConfigError(f"--classes {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--classes {path} is no text in UTF-8: write a name a line") from None


def _precisions(text: str) -> tuple[int, ...]:
    from narrows.cli.split import is_whole

    parts = [part.strip() for part in text.split(",")]
    if not all(is_whole(part, _MOST_BITS) and int(part) for part in parts):
        raise ConfigError(f"--bits {text!r}: precisions are 1 to {_MOST_BITS}, as 8,6,4")
    return tuple(map(int, parts))


def print_bundle(bundle: SplitBundle) -> None:
    """What a split network's bundle holds, for people."""
    manifest = bundle.manifest
    size = manifest.input
    say(f"{manifest.name} {manifest.version}  id {bundle.hex_id}  in {bundle.folder}")
    say(f"  pictures   {size.width} x {size.height}")
    for output in bundle.outputs:
        say(f"  output     {output.name}: {output.kind}, {output.dtype} {' x '.join(map(str, output.shape))}")
    for number, cut in enumerate(manifest.cuts):
        say(f"  cut {number}  {cut.name}: {cut.head_ms:.2f} ms at the camera, {cut.tail_ms:.2f} ms in the cloud")
        tail = next((tail for tail in bundle.tails if tail.number == number), None)
        here = "no tail in this folder" if tail is None else f"tail {tail.hex_id}"
        say(f"         {here}{'' if cut.batched else ', a picture at a time'}")
        for index, level in enumerate(cut.levels):
            chosen = "  the default" if number == 0 and index == manifest.default_level else ""
            say(
                f"    level {index}  {level.precision_bits:2} bits by {level.steps:11}  {level.bytes:9,.0f} bytes  "
                f"agreement {level.agreement:.4f}, at least {level.least_agreement:.4f}{chosen}"
            )
