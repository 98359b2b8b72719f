"""``narrows search``: which network a weak camera should run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.number_options import MOST_SEED, MOST_THREADS
from narrows.cli.written_paths import folder_to_write

if TYPE_CHECKING:
    from narrows.models.nn.weak_designs import Design
    from narrows.models.search.cost import CameraLimits


class DesignName(StrEnum):
    """What the camera sends."""

    EDGE = "edge"
    REFINED = "refined"
    FEATURES = "features"
    LAYERED = "layered"


class ProxyName(StrEnum):
    """What orders networks that are not trained."""

    MACS = "macs"
    PARAMETERS = "parameters"
    SYNFLOW = "synflow"
    GRADIENT = "gradient"
    NASWOT = "naswot"
    ZICO = "zico"


def search(
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder (classes.json, SPLIT.txt, images/, labels/).")],
    run: Annotated[Path, typer.Option(help="Run folder; a search that was stopped or killed goes on.")] = Path(
        "runs/search"
    ),
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    leave_out: Annotated[str | None, typer.Option(help="Samples never to see, as in `narrows train`.")] = None,
    check_share: Annotated[
        float, typer.Option(min=0.02, max=0.5, help="Share of each drive's frames to judge on, not to train on.")
    ] = 0.1,
    design: Annotated[DesignName, typer.Option(help="What the camera makes and sends.")] = DesignName.EDGE,
    device: Annotated[
        str, typer.Option(help="Where: local, 'quota CORES' of this machine, 'ssh HOST' or 'ssh HOST PYTHON'.")
    ] = "local",
    latency_table: Annotated[
        Path | None,
        typer.Option(help="What probe.py measured of the blocks on a device that is out of reach."),
    ] = None,
    write_blocks: Annotated[
        Path | None,
        typer.Option(callback=folder_to_write, help="Write every block as an int8 graph, to measure by hand, and end."),
    ] = None,
    latency_ms: Annotated[float | None, typer.Option(min=0, help="A frame may take so long on the device.")] = None,
    peak_kb: Annotated[float | None, typer.Option(min=0, help="Activations that live at once, as int8.")] = None,
    weights_kb: Annotated[float | None, typer.Option(min=0, help="Weights, as int8.")] = None,
    mmac: Annotated[float | None, typer.Option(min=0, help="Million multiply-accumulates a frame.")] = None,
    operators: Annotated[str | None, typer.Option(help="The device's, with commas; others it cannot run.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Networks to look at; may grow later on.")] = 200,
    proxy: Annotated[ProxyName, typer.Option(help="What orders networks before training.")] = ProxyName.SYNFLOW,
    train: Annotated[int, typer.Option(min=0, help="Of the front, to train briefly; may grow later on.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Of each of these trainings.")] = 600,
    batch: Annotated[int, typer.Option(min=2, help="Pictures a step.")] = 8,
    bits_per_pixel: Annotated[float, typer.Option(min=0, help="At which accuracy is judged.")] = 0.05,
    cloud_gmac: Annotated[float, typer.Option(min=0.05, help="Of the cloud's decoder, where there is one.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Everything random hangs on it.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=MOST_THREADS, help="Of the trainings.")] = 1,
) -> None:
    """Search the widths, depths, kernels, stem, resolution and bottleneck of a weak camera's network for a device.

    Latency is the sum of blocks, each measured once on the device in int8 by ONNX Runtime; memory, weights and
    operators are counted. NSGA-II looks at networks by latency and a zero-shot proxy, the best of them are trained
    briefly, and these are measured whole: what is over a limit is not reported. RUN/search.html shows the front as it
    grows; RUN/front.json holds it, in the form that `make train-frontier ARGS="--shapes FILE"` and `narrows advise
    --frontier` read.

    Example: narrows search --data data/camvid --device 'quota 0.25' --latency-ms 100 --peak-kb 1000

    Example: narrows search --data data/camvid --device 'ssh camera-3' --design layered --train 4 --steps 2000

    Example: narrows search --data data/camvid --write-blocks blocks  # there: for each: python3 probe.py >> blocks.json
    """
    from narrows.cli.split import device_named
    from narrows.models.dataset import FolderDataset
    from narrows.models.nn.weak_designs import Design
    from narrows.models.search.config import SearchConfig
    from narrows.models.search.latency_table import LatencyTable
    from narrows.models.search.search import TABLE, Search
    from narrows.models.search.training import use_threads
    from narrows.models.training.check import split_off
    from narrows.models.training.mask_setup import MaskSetup
    from narrows.models.training.run_folder import locked

    use_threads(threads)
    dataset = FolderDataset.open(data, split).without_named(leave_out)
    width, height = dataset.classes.size
    config = SearchConfig(
        design=Design(design.value),
        size=(height, width),
        classes=len(dataset.classes.names),
        samples=dataset.samples,
        check_share=check_share,
        device=device if latency_table is None else str(latency_table),
        limits=_limits(latency_ms, peak_kb, weights_kb, mmac, operators),
        trials=trials,
        proxy=proxy.value,
        trained=train,
        steps=steps,
        batch=batch,
        most_bits_per_pixel=bits_per_pixel,
        cloud_gmac=cloud_gmac,
        seed=seed,
    )
    if write_blocks is not None:
        _write_blocks(write_blocks, config.design, config.size, config.classes)
        return
    learnt, held = split_off(dataset, check_share)
    setup = MaskSetup.of(
        dataset.classes, learnt, held, config.prices, batch=config.batch, small_share=config.small_share
    )
    with locked(run), device_named(device) as there:
        asked = there if latency_table is None else None
        table = LatencyTable(latency_table or run / TABLE, asked, device)
        front = Search(config, run, setup, table, asked, typer.echo).run()
    print(f"{'network':<12} {'ms':>7} {'MMAC':>6} {'weights, kB':>11} {'peak, kB':>8} {'bpp':>7} {'mIoU':>7}")
    for each in front:
        bits = "" if each.bits_per_pixel is None else f"{each.bits_per_pixel:.4f}"
        miou = "" if each.miou is None else f"{each.miou:.2%}"
        cost = each.cost
        print(f"{each.candidate.name:<12} {each.camera_ms:>7.2f} {cost.macs / 1e6:>6.0f}", end=" ")
        print(f"{cost.weights_bytes / 1e3:>11.0f} {cost.peak_bytes / 1e3:>8.0f} {bits:>7} {miou:>7}")
    if not front:
        print("nothing that was looked at is within the limits: allow more, or look at more networks (--trials)")
    print(f"all of it is in {run}: front.json, search.html")


def _limits(
    latency_ms: float | None,
    peak_kb: float | None,
    weights_kb: float | None,
    mmac: float | None,
    operators: str | None,
) -> CameraLimits:
    from narrows.models.search.cost import CameraLimits

    def in_bytes(kb: float | None) -> int | None:
        return None if kb is None else round(kb * 1e3)

    known = None if operators is None else frozenset(each.strip() for each in operators.split(","))
    macs = None if mmac is None else round(mmac * 1e6)
    return CameraLimits(latency_ms, in_bytes(peak_kb), in_bytes(weights_kb), macs, known)


def _write_blocks(folder: Path, design: Design, size: tuple[int, int], classes: int) -> None:
    from narrows.models.search.blocks import every_block
    from narrows.models.search.latency_table import SUFFIX, write_int8_block
    from narrows.models.search.space import Space
    from narrows.models.split.device import PROBE

    folder.mkdir(parents=True, exist_ok=True)
    blocks = every_block(Space(), design, size, classes)
    for place, block in enumerate(blocks, 1):
        path = folder / f"{block.name}{SUFFIX}"
        if not path.is_file():
            write_int8_block(block, path)
        if place % 100 == 0 or place == len(blocks):
            typer.echo(f"{place}/{len(blocks)} blocks")
    (folder / PROBE.name).write_bytes(PROBE.read_bytes())
    print(f"copy {folder} to the device, and there:")
    print("  for each in *.onnx; do python3 probe.py --runs 10 --seconds 0.1 $each; done > blocks.json")
    print("then: narrows search --latency-table blocks.json ...")
