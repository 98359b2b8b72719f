"""Train the networks that `make bench-frontier` compares, one after the other; stop and start it at will.

Finished networks are kept, and one that was stopped goes on where it was, so the whole grid is this one command, over
as many days as it takes. Beside other work one thread is fastest, at low priority: `chrt -i 0 make train-frontier`.

Example: python -m benchmarks.frontier.train --run runs/frontier --only 0.2-edge-s1
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import torch

from benchmarks.frontier.data import read_parts
from benchmarks.frontier.networks import build, take_found_shapes
from benchmarks.frontier.plan import RUNS, Cell, Plan, RunFolder
from benchmarks.frontier.tasks import FeatureStudent, feature_task, setup_of
from benchmarks.rate.progress import say
from benchmarks.resumable import resumable
from narrows.contract.errors import ConfigError
from narrows.models.nn.weak_designs import WeakNetwork
from narrows.models.training.fitting import Recipe, fit, groups_of
from narrows.models.training.mask_setup import MaskSetup, mask_task

DATA = Path("../shared/data/camvid")
PRETRAINED = Path("../shared/data/weights/efficientnet-lite0-57934424.pth")


def main() -> int:
    return resumable("train-frontier", _train_networks)


def _train_networks() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    train_all(options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make train-frontier", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="labelled folder of several drives")
    parser.add_argument("--pretrained", type=Path, default=PRETRAINED, help="EfficientNet-Lite0's ImageNet weights")
    parser.add_argument("--run", type=Path, default=RUNS, help="run folder")
    parser.add_argument(
        "--only", nargs="*", help="train these networks alone, in this order: 0.2-edge-s1 0.2-layered-0.5-s1"
    )
    parser.add_argument("--steps", type=int, help="of each network, if a new run folder is begun")
    parser.add_argument("--pretrain-steps", type=int, help="of each trunk; 0 for none")
    parser.add_argument("--seeds", type=int, nargs="*", help="where two designs are within 2 points: 1 2 3")
    parser.add_argument("--teacher", help="run folder of a `narrows train --leave-out` of the same drive")
    parser.add_argument("--shapes", type=Path, help="cameras that `narrows search` found (its front.json)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few steps of the smallest budget: does all of it run?")
    parser.add_argument("--list", action="store_true", help="say which networks there are, and which are done")
    return parser.parse_args()


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan of the run folder, or of the options."""
    asked = {name: getattr(options, name) for name in ("steps", "pretrain_steps", "teacher")}
    asked = {name: value for name, value in asked.items() if value is not None}
    plan = Plan.quick() if options.quick else Plan()
    if not options.quick and (options.run / "plan.json").is_file():
        plan = Plan.read(options.run)
    plan = replace(plan, **asked)
    return replace(plan, seeds=tuple(options.seeds)) if options.seeds else plan


def train_all(options: argparse.Namespace) -> None:
    """Train what is asked for.

    Raises:
        NarrowsError: the plan, the data or the weights are not as they should be.
    """
    plan, folder = plan_of(options), RunFolder(options.run)
    plan.keep(folder.root)
    folder.make()
    cells = chosen(plan, options.only)
    if options.list:
        for cell in cells:
            print(f"{cell.name:<28} {'done' if folder.weights(cell).is_file() else 'to do'}")
        return
    parts = read_parts(options.data, plan)
    setup = setup_of(plan, parts)
    if options.shapes is not None:
        take_found_shapes(options.shapes, cells, folder, parts.size, len(parts.classes.names))
    for number, cell in enumerate(cells, 1):
        say(f"network {number} of {len(cells)}: {cell.name}")
        train(cell, plan, setup, folder, options.pretrained)


def chosen(plan: Plan, only: list[str] | None) -> list[Cell]:
    """The cells that are named, in that order; else all.

    Raises:
        ConfigError: there is no such cell.
    """
    by_name = {cell.name: cell for cell in plan.cells}
    if unknown := [name for name in only or () if name not in by_name]:
        raise ConfigError(f"--only {unknown[0]}: no such network; there are {', '.join(by_name)}")
    return [by_name[name] for name in only] if only else list(plan.cells)


def train(cell: Cell, plan: Plan, setup: MaskSetup, folder: RunFolder, pretrained: Path) -> WeakNetwork:
    """A finished network in evaluation mode; what is done already is loaded."""
    width, height = setup.classes.size
    network = build(cell, folder, (height, width), len(setup.classes.names))
    if plan.pretrain_steps and not folder.weights(cell).is_file():
        student = FeatureStudent(network.camera.trunk, network.shape.widths[1:])
        path = folder.trunk(_trunk_name(network, cell.seed))
        recipe = Recipe(plan.pretrain_steps, plan.learning_rate)
        task = feature_task(setup, plan.pretrain_steps, pretrained, cell.seed)
        taught = fit(student, groups_of(student), recipe, task, path, say)
        assert isinstance(taught, FeatureStudent)
        network.camera.trunk.load_state_dict(taught.trunk.state_dict())
    recipe = Recipe(plan.steps, plan.learning_rate)
    done = fit(network, groups_of(network), recipe, mask_task(setup, plan.steps, cell.seed), folder.weights(cell), say)
    assert isinstance(done, WeakNetwork)
    return done


def _trunk_name(network: WeakNetwork, seed: int) -> str:
    """Cells of one trunk share it: by the shapes of its tensors."""
    shapes = {name: tuple(value.shape) for name, value in network.camera.trunk.state_dict().items()}
    return f"{sha256(repr(shapes).encode()).hexdigest()[:12]}-s{seed}"


if __name__ == "__main__":
    raise SystemExit(main())
