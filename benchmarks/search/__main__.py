"""Which zero-shot proxy orders weak networks as short trainings do, and whether a search beats scaling.

Networks are drawn by chance and trained briefly alike: Kendall's tau of each proxy, with its bootstrap interval, on a
drive that none has seen. Then each proxy searches within the latency of the present encoder, scaled; what it likes best
is trained briefly, as `narrows search` does, and the best of these on blocks of the drives that were trained on is
compared with the scaled encoder on the drive that none has seen. Everything is kept in the run folder; a run that was
stopped goes on.

Example: python -m benchmarks.search --run runs/bench-search
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.frontier.data import Parts, read_parts
from benchmarks.frontier.margins import paired_interval
from benchmarks.frontier.plan import Plan
from benchmarks.frontier.train import DATA
from benchmarks.rate.progress import say
from benchmarks.record import write_result
from benchmarks.resumable import resumable
from narrows.cli.split import device_named
from narrows.contract.errors import ConfigError
from narrows.models.export.fit_to_budget import camera_shape
from narrows.models.nn.weak_designs import Design
from narrows.models.search.config import SearchConfig
from narrows.models.search.cost import CameraLimits
from narrows.models.search.found import Found
from narrows.models.search.latency_table import LatencyTable
from narrows.models.search.proxies import PROXIES, Subject
from narrows.models.search.ranking import kendall_tau, tau_interval
from narrows.models.search.search import TABLE, Search
from narrows.models.search.space import Candidate, Space, candidate_of
from narrows.models.search.training import AtResolution, Judgement, judge, train_briefly
from narrows.models.split.device import Device
from narrows.models.training.mask_setup import MaskSetup, mask_task
from narrows.runtime.writing import write_file

LEAST_NETWORKS = 12
_BUDGET_GMAC = 0.1
"""Of the present encoder, scaled: what a find is compared with."""
_MOST_MACS = 0.25e9
QUICK_SPACE = Space(
    stem_kernel=(4,), width4=(16, 32), width8=(24, 48), width16=(48, 96), kernel4=(3,), kernel8=(3,), kernel16=(5,),
    depth8=(0, 1), depth16=(0, 2), expansion8=(2,), expansion16=(3,), head=(24, 40), resolution=(0.5, 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    networks: int = 24
    steps: int = 600
    batch: int = 8
    trials: int = 300
    limit: int = 0
    space: Space = field(default_factory=Space)


QUICK = Scale(networks=LEAST_NETWORKS, steps=12, batch=2, trials=16, limit=16, space=QUICK_SPACE)


def main() -> int:
    return resumable("bench-search", _bench)


def _bench() -> None:
    options = _options()
    torch.set_num_threads(1)
    scale = QUICK if options.quick else Scale(networks=options.networks, steps=options.steps)
    parts = read_parts(options.data, Plan(limit=scale.limit))
    with device_named(options.device) as device:
        result = Bench(options.run, scale, parts, device, options.device).run()
    _print(result)
    if not options.quick:
        print(write_result("search", "make bench-search", result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-search", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="labelled folder of several drives")
    parser.add_argument("--run", type=Path, help="run folder (default runs/bench-search)")
    parser.add_argument("--device", default="local", help="where: as in `narrows bench-device`")
    parser.add_argument("--networks", type=int, default=Scale.networks, help="to train, at least 12")
    parser.add_argument("--steps", type=int, default=Scale.steps, help="of each")
    parser.add_argument("--quick", action="store_true", help="12 steps each: does all of it run? Writes no result")
    options = parser.parse_args()
    if options.networks < LEAST_NETWORKS:
        parser.error(f"--networks {options.networks}: an interval wants {LEAST_NETWORKS} or more")
    options.run = options.run or Path("runs/bench-search-quick" if options.quick else "runs/bench-search")
    return options


class Bench:
    """The bench in its run folder."""

    def __init__(self, folder: Path, scale: Scale, parts: Parts, device: Device, device_name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.scale, self.parts, self.device = folder, scale, parts, device
        self.config = SearchConfig(
            Design.EDGE, parts.size, len(parts.classes.names), device=device_name, space=scale.space,
            trials=scale.trials, trained=1, steps=scale.steps, batch=scale.batch,
        )  # fmt: skip
        small = 1.0 if scale.limit else self.config.small_share
        self.setup = MaskSetup.of(
            parts.classes, parts.train, parts.held, self.config.prices, batch=scale.batch, small_share=small
        )
        self.table = LatencyTable(folder / TABLE, device, device_name)
        self.searching = self._search(self.config, folder / "drawn")

    def _search(self, config: SearchConfig, folder: Path) -> Search:
        return Search(config, folder, self.setup, self.table, self.device, say)

    def run(self) -> dict[str, Any]:
        """Rows, taus, and the find beside what it must beat."""
        drawn = self.draw()
        rows = [self.row(each, place) for place, each in enumerate(drawn, 1)]
        return {
            "design": Design.EDGE.value,
            "device": self.config.device,
            "steps": self.scale.steps,
            "frames": len(self.parts.judged),
            "held_frames": len(self.parts.held),
            "networks": rows,
            "tau": {name: _tau(rows, name) for name in PROXIES},
            "find": self.find(),
        }

    def draw(self) -> list[Candidate]:
        """Different networks, each choice as likely, of at most :data:`_MOST_MACS`."""
        chance, found = random.Random(self.config.seed), dict[str, Candidate]()
        choices = self.scale.space.choices(Design.EDGE)
        while len(found) < self.scale.networks:
            candidate = candidate_of({name: chance.choice(values) for name, values in choices.items()})
            if self.searching.cost(candidate).macs <= _MOST_MACS:
                found[candidate.name] = candidate
        return list(found.values())

    def row(self, candidate: Candidate, place: int) -> dict[str, Any]:
        """What every proxy says of a network, and what a short training made of it."""
        path = self.folder / f"{candidate.name}.json"
        if not path.is_file():
            say(f"network {place} of {self.scale.networks}: {candidate.name}")
            cost, config = self.searching.cost(candidate), self.config
            pictures, _ = self.setup.views(config.seed, 0, 1)
            task = mask_task(self.setup, config.steps, config.seed)
            subject = Subject(self.searching.network(candidate), cost, pictures, task)
            said = {name: proxy(subject) for name, proxy in PROXIES.items()}
            row = {**candidate.record, "macs": cost.macs, "latency_ms": cost.latency_ms, "proxies": said}
            write_file(path, json.dumps(row | {"miou": self.judged(self.trained(candidate)).miou}))
        row = json.loads(path.read_text())
        assert isinstance(row, dict)
        return row

    def trained(self, candidate: Candidate) -> AtResolution:
        """Briefly, by the recipe and from the seed of all."""
        config, fresh = self.config, self.searching.network(candidate)
        weights = self.folder / f"{candidate.name}.pt"
        return train_briefly(fresh, self.setup, config.steps, config.learning_rate, config.seed, weights, say)

    def judged(self, network: AtResolution) -> Judgement:
        """On the drive that none has seen."""
        return judge(network, replace(self.setup, held=self.parts.judged), np.inf)

    def find(self) -> dict[str, Any]:
        """The best of the proxies' finds within the latency of the present encoder, scaled to :data:`_BUDGET_GMAC`."""
        scaled = Candidate(camera_shape(Design.EDGE, _BUDGET_GMAC * 1e9, self.parts.size, self.config.classes))
        limit_ms = self.searching.cost(scaled).latency_ms
        finds = {proxy: self.best_by(proxy, limit_ms) for proxy in PROXIES}
        held = {name: judge(self.trained(each), self.setup, np.inf).miou for name, each in finds.items()}
        chosen = max(held, key=lambda name: held[name])
        ours, theirs = (self.judged(self.trained(each)) for each in (finds[chosen], scaled))
        return {
            "limit_ms": limit_ms,
            "held_miou": held,
            "chosen": chosen,
            "looked_at": self.scale.trials,
            "found": self._measured(finds[chosen], ours),
            "scaled": self._measured(scaled, theirs),
            "points": 100 * (ours.miou - theirs.miou),
            "interval": paired_interval(ours.counts, theirs.counts),
        }

    def best_by(self, proxy: str, limit_ms: float | None) -> Candidate:
        """What a search likes best by one proxy."""
        config = replace(self.config, proxy=proxy, trained=0, limits=CameraLimits(latency_ms=limit_ms))
        search = self._search(config, self.folder / f"search-{proxy}")
        search.look()
        return likes_best(search.within_limits(), f"{proxy}, of {self.scale.trials} networks").candidate

    def _measured(self, candidate: Candidate, judged: Judgement) -> dict[str, Any]:
        cost = self.searching.cost(candidate)
        weights = self.folder / f"{candidate.name}.pt"
        whole_ms = self.searching.measured_whole(
            candidate, weights, self.folder / f"{candidate.name}.camera"
        ).latency_ms
        return {**candidate.record, "macs": cost.macs, "blocks_ms": cost.latency_ms, "whole_ms": whole_ms} | {
            "miou": judged.miou
        }


def likes_best(within: Sequence[Found], searched: str) -> Found:
    """The one that its proxy says most of.

    Raises:
        ConfigError: none is within the limits.
    """
    if not within:
        raise ConfigError(f"search by {searched}: none is as fast as the present encoder scaled; look at more")
    return max(within, key=lambda each: each.proxy)


def _tau(rows: Sequence[dict[str, Any]], proxy: str) -> dict[str, Any]:
    said, true = [row["proxies"][proxy] for row in rows], [row["miou"] for row in rows]
    return {"tau": kendall_tau(said, true), "interval": tau_interval(said, true)}


def _print(result: dict[str, Any]) -> None:
    print(
        f"{len(result['networks'])} networks, {result['steps']} steps each, {result['frames']} frames of another drive"
    )
    find = result["find"]
    print(f"{'proxy':<11} {'tau':>6}  95 %              its find")
    for name, each in sorted(result["tau"].items(), key=lambda pair: -pair[1]["tau"]):
        low, high = each["interval"]
        print(f"{name:<11} {each['tau']:>+6.2f}  {low:+.2f} to {high:+.2f}  {find['held_miou'][name]:.1%}")
    print(
        f"each proxy looked at {find['looked_at']} networks within {find['limit_ms']:.2f} ms; {find['chosen']}'s it is"
    )
    for name in ("found", "scaled"):
        each = find[name]
        print(f"  {name:<7} {each['whole_ms']:.2f} ms whole, {each['macs'] / 1e6:.0f} MMAC, {each['miou']:.2%}")
    print(f"  {find['points']:+.1f} points ({find['interval'][0]:+.1f} to {find['interval'][1]:+.1f})")


if __name__ == "__main__":
    raise SystemExit(main())
