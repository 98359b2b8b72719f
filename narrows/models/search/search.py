"""The search itself: look at many networks by latency table and proxy, train the best briefly, measure those whole.

::

    NSGA-II ─► blocks ─► memory, operators ─► latency table ─► proxy ─► front ─► short trainings ─► whole, on the device
                            └── over a limit: counts as worse than any within

A run folder holds ``config.json``, ``study.log`` (Optuna's journal: every network looked at), ``latency.jsonl`` (the
table), ``weights/``, ``scores/``, ``front.json`` and ``search.html`` with ``front.png``. Everything in it is whole
whenever the process is killed, and the same command goes on.

NSGA-II: Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm", 2002, with its rule for constraints, in
Optuna (Akiba et al., KDD 2019).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from narrows.contract.wire.record import decode_record
from narrows.models.export.fit_to_budget import cloud_shape
from narrows.models.export.int8_throughout import quantise_throughout
from narrows.models.export.resources import write_and_count
from narrows.models.nn.cloud_decoder import CloudShape
from narrows.models.nn.stored import BEGIN_ANEW, read_stored
from narrows.models.nn.weak import WeakShape
from narrows.models.search.blocks import blocks_of
from narrows.models.search.config import SearchConfig
from narrows.models.search.cost import CameraCost, latency_ms, operators_of, static_cost
from narrows.models.search.found import Found, as_row
from narrows.models.search.latency_table import Latencies
from narrows.models.search.page import Shown, write_page
from narrows.models.search.proxies import PROXIES, Subject
from narrows.models.search.ranking import pareto
from narrows.models.search.space import Candidate, candidate_of
from narrows.models.search.training import AtResolution, built, judge, train_briefly
from narrows.models.split.device import Device, Effort
from narrows.models.split.measurements import busy_ms
from narrows.models.training.augment import normalise
from narrows.models.training.fitting import TRAINED
from narrows.models.training.mask_setup import MaskSetup, mask_task
from narrows.models.training.rounds import Say, rounds
from narrows.runtime.writing import write_file

STUDY, TABLE, FRONT = "study.log", "latency.jsonl", "front.json"
_PAGE_EVERY_S = 10.0
_CALIBRATION_PICTURES = 16
_MOST_BYTES = 1 << 16
_AGAIN = "again"
"""Of a trial: what it looks at was looked at before, by a process that was killed."""
_WHOLE_EFFORT = Effort(runs=20, seconds=1.0)


@dataclass(frozen=True)
class _Score:
    """Of a short training, as it is kept."""

    miou: float
    bits_per_pixel: float


class Search:
    """A search in its run folder."""

    def __init__(
        self,
        config: SearchConfig,
        folder: Path,
        setup: MaskSetup,
        latencies: Latencies,
        device: Device | None,
        say: Say,
    ) -> None:
        config.keep(folder)
        for name in ("weights", "scores"):
            (folder / name).mkdir(exist_ok=True)
        self.config, self.folder, self.setup, self._say = config, folder, setup, say
        self._latencies, self._device = latencies, device
        self._seen: dict[str, Mapping[str, Any]] = {}
        self._drawn_s = -math.inf
        self._study = _study(config, folder)

    def run(self) -> list[Found]:
        """Do what is not done yet, and answer with the front."""
        self.look()
        trained = [self.trained(each, place) for place, each in enumerate(self.best(), 1)]
        kept = [each for one in trained if (each := self.verified(one)) is not None]
        front = [kept[place] for place in pareto([each.point for each in kept])]
        self._write_front(front)
        self._draw(trained=kept, ended=True)
        return front

    def look(self) -> None:
        """Look at as many networks as are asked for."""
        for killed in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(killed.number, state=TrialState.FAIL)  # of a process that was killed
            if _AGAIN not in killed.user_attrs:  # once: what it looked at may be what ended it
                self._study.enqueue_trial(killed.system_attrs.get("fixed_params", killed.params), {_AGAIN: True})
        done = len(self.trials)
        for _ in rounds("networks looked at", range(self.config.trials), self._say, min(done, self.config.trials)):
            trial = self._study.ask()
            choices = self.config.space.choices(self.config.design)
            chosen = {name: trial.suggest_categorical(name, values) for name, values in choices.items()}
            seen = self._look_at(candidate_of(chosen))
            trial.set_user_attr("seen", dict(seen))
            trial.set_constraint("limits", seen["excess"])
            ms = math.inf if seen["latency_ms"] is None else seen["latency_ms"]
            self._study.tell(trial, [ms, seen["proxy"]])
            self._draw()

    def _look_at(self, candidate: Candidate) -> Mapping[str, Any]:
        if candidate.name not in self._seen:
            cost = self.cost(candidate)
            excess = self.config.limits.excess(cost)
            proxy = -math.inf if excess else self.proxy(candidate, cost)
            self._seen[candidate.name] = {
                "candidate": candidate.record,
                "excess": sum(excess.values()),
                "broken": sorted(excess),
                "proxy": proxy,
                **(asdict(cost) | {"operators": sorted(cost.operators)}),
            }
        return self._seen[candidate.name]

    def cost(self, candidate: Candidate) -> CameraCost:
        """Memory and operators first: what breaks those is not measured, and may not run there at all."""
        placed = blocks_of(candidate, self.config.design, self.config.size, self.config.classes)
        cost = static_cost(placed)
        if self.config.limits.excess(cost):
            return cost
        return replace(cost, latency_ms=latency_ms(placed, self._latencies))

    def proxy(self, candidate: Candidate, cost: CameraCost) -> float:
        """What the chosen proxy says of a network that was never trained."""
        config = self.config
        pictures, _ = self.setup.views(config.seed, 0, 1)
        subject = Subject(self.network(candidate), cost, pictures, mask_task(self.setup, config.steps, config.seed))
        return PROXIES[config.proxy](subject)

    def network(self, candidate: Candidate) -> AtResolution:
        """Fresh, of the run's seed."""
        config = self.config
        levels = len(config.prices)
        return built(candidate, config.design, self._cloud(candidate), config.classes, levels, config.seed)

    def _cloud(self, candidate: Candidate) -> CloudShape:
        if not self.config.design.has_cloud:
            return CloudShape()
        seen, channels = candidate.sees(self.config.size), candidate.shape.latent_channels
        return cloud_shape(self.config.cloud_gmac * 1e9, seen, self.config.classes, channels)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All that were looked at, in their order."""
        return self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def within_limits(self) -> list[Found]:
        """Of all that was looked at; each network once."""
        found: dict[str, Found] = {}
        for trial in self.trials:
            seen = trial.user_attrs["seen"]
            if not seen["broken"] and not self.config.limits.excess(cost := _cost(seen)):
                candidate = Candidate.of_record(seen["candidate"])
                found.setdefault(candidate.name, Found(candidate, cost, seen["proxy"]))
        return list(found.values())

    def best(self) -> list[Found]:
        """Of the front by proxy as many as are to be trained, evenly along it; all where none is."""
        within = self.within_limits()
        front = [within[place] for place in pareto([each.point for each in within])]
        count = min(self.config.trained, len(front)) or len(front)
        places = {round(step * (len(front) - 1) / max(1, count - 1)) for step in range(count)} if front else set()
        return [front[place] for place in sorted(places)] if count > 1 else front[-1:]

    def trained(self, found: Found, place: int) -> Found:
        """With its accuracy after a short training."""
        if not self.config.trained:
            return found
        name, config = found.candidate.name, self.config
        scores = self.folder / "scores" / f"{name}.json"
        if not scores.is_file():
            self._say(f"training network {place}: {name}, {found.camera_ms:.2f} ms")
            weights = self.folder / "weights" / f"{name}.pt"
            fresh = self.network(found.candidate)
            network = train_briefly(
                fresh, self.setup, config.steps, config.learning_rate, config.seed, weights, self._say
            )
            judged = judge(network, self.setup, config.most_bits_per_pixel)
            write_file(scores, json.dumps(asdict(_Score(judged.miou, judged.bits_per_pixel))))
        said = decode_record(scores.read_bytes(), _Score, what=str(scores), most_bytes=_MOST_BYTES)
        self._draw()
        return replace(found, miou=said.miou, bits_per_pixel=said.bits_per_pixel)

    def verified(self, found: Found) -> Found | None:
        """Counted and measured whole; ``None`` where the whole breaks a limit that the sum of its parts did not."""
        name = found.candidate.name
        weights = self.folder / "weights" / f"{name}.pt" if self.config.trained else None
        cost = self.measured_whole(found.candidate, weights, self.folder / "weights" / f"{name}.camera")
        broken = self.config.limits.excess(replace(cost, latency_ms=cost.latency_ms or found.cost.latency_ms))
        if broken:
            self._say(f"left out: {name} as a whole is over {', '.join(broken)}")
            return None
        return replace(found, cost=replace(cost, latency_ms=found.cost.latency_ms), measured_ms=cost.latency_ms)

    def measured_whole(self, candidate: Candidate, weights: Path | None, graph: Path) -> CameraCost:
        """Of the whole network as it is exported; latency is ``None`` where there is no device to ask.

        Args:
            candidate: what is measured.
            weights: what :func:`~narrows.models.search.training.train_briefly` wrote of it; else it is untrained.
            graph: where its graphs go, with ``.onnx`` and ``.int8.onnx`` behind.

        Raises:
            ProfilingFailed: the device cannot run it.
        """
        exact, int8 = graph.with_name(f"{graph.name}.onnx"), graph.with_name(f"{graph.name}.int8.onnx")
        network = self.network(candidate)
        if weights is not None:
            read_stored(weights, TRAINED, remedy=BEGIN_ANEW).fill(network)
        picture = torch.zeros(1, 3, *candidate.sees(self.config.size))
        counted = write_and_count(network.whole.camera, [picture], exact)
        cost = CameraCost(counted.macs, counted.parameters, counted.peak_bytes, operators_of(onnx.load(exact)))
        if self._device is None:
            return cost
        quantise_throughout(exact, ({"input0": each} for each in self._calibration(network)), int8)
        measured = self._device.measure(int8.read_bytes(), _WHOLE_EFFORT)
        return replace(cost, latency_ms=busy_ms(measured.record, self.config.device))

    def _calibration(self, network: AtResolution) -> list[Any]:
        some = self.setup.train[:: max(1, len(self.setup.train) // _CALIBRATION_PICTURES)]
        return [network.seen(torch.from_numpy(normalise(each.picture))[None]).numpy() for each in some]

    def _write_front(self, front: Sequence[Found]) -> None:
        config = self.config
        record = {
            "search": config.record,
            "rows": [as_row(each, config) for each in front],
            "margins": {},
        }
        write_file(self.folder / FRONT, json.dumps(record, indent=1) + "\n")

    def _draw(self, trained: Sequence[Found] = (), *, ended: bool = False) -> None:
        if not ended and time.monotonic() - self._drawn_s < _PAGE_EVERY_S:
            return
        within = self.within_limits()
        front = [within[place] for place in pareto([each.point for each in within])]
        looked_at = len(self.trials)
        shown = Shown(
            looked_at=[each.point for each in within],
            front=[each.point for each in front],
            trained=[(each.camera_ms, each.miou) for each in trained if each.miou is not None],
            text=f"{looked_at} of {self.config.trials} networks, {len(within)} different ones within the limits",
            proxy=self.config.proxy,
            ended=ended,
        )
        write_page(self.folder, shown, self.config.record)
        self._drawn_s = time.monotonic()


def _study(config: SearchConfig, folder: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / STUDY)))
    study = optuna.create_study(
        storage=storage, study_name="search", directions=["minimize", "maximize"], load_if_exists=True
    )
    done = len(study.get_trials(deepcopy=False))  # or a run that goes on would draw what it drew before
    study.sampler = optuna.samplers.NSGAIISampler(population_size=config.population, seed=config.seed + done)
    if not done:
        study.enqueue_trial(present_encoder(config))
    return study


def present_encoder(config: SearchConfig) -> dict[str, Any]:
    """The choice that stands for :class:`~narrows.models.nn.weak.WeakShape` as it is."""
    shape = WeakShape()
    chosen = {
        **{f"width{s}": v for s, v in zip((4, 8, 16), shape.widths, strict=True)},
        **{f"depth{s}": v for s, v in zip((4, 8, 16), shape.depths, strict=True)},
        **{f"kernel{s}": v for s, v in zip((4, 8, 16), shape.kernels, strict=True)},
        **{f"expansion{s}": v for s, v in zip((8, 16), shape.expansions, strict=True)},
        "stem_kernel": shape.stem_kernel,
        "head": shape.head,
        "latent_channels": shape.latent_channels,
        "latent_stride": shape.latent_stride,
        "resolution": 1.0,
    }
    choices = config.space.choices(config.design)
    return {name: value for name, value in chosen.items() if value in choices.get(name, ())}


def _cost(seen: Mapping[str, Any]) -> CameraCost:
    operators = frozenset(seen["operators"])
    return CameraCost(seen["macs"], seen["weights_bytes"], seen["peak_bytes"], operators, seen["latency_ms"])
