"""The training of a compressed network: a few pictures a step, resumable at any of them, with the time that is left."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from narrows.models.bottleneck.objective import Target, label_loss, missed_loss, task_loss
from narrows.models.bottleneck.pruning import with_outputs
from narrows.models.bottleneck.samples import Samples
from narrows.models.bottleneck.settings import LABELS, Settings
from narrows.models.bottleneck.trainable import Trainable
from narrows.models.bottleneck.weights import Rounded
from narrows.models.nn.rate import RateModel, add_noise
from narrows.models.nn.stored import BEGIN_ANEW, read_stored, write_stored
from narrows.models.split.feeding import Feeding
from narrows.models.split.halves import Runner
from narrows.models.split.network import Network
from narrows.models.training.loop import set_learning_rate
from narrows.models.training.progress import append_record
from narrows.models.training.rounds import rounds
from narrows.models.training.run import CHECKPOINT, check_loss, shorten_gradient

_WARMUP_STEPS = 10
_SAVED_EVERY_S = 20.0
_OWN_SHARE = 0.1
"""Of the learning rate, for what the network had learned before."""
_RATE_SHARE = 10
"""Of the learning rate, for the rate model, which begins knowing nothing."""
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Begun:
    """A graph before training, and the names of what training looks at."""

    network: Network
    narrow: tuple[str, ...]
    narrow_floats: tuple[str, ...]
    decoded: Mapping[str, str]


class Training:
    """Weights, rate model and optimiser of a run, from its checkpoint if it has one."""

    def __init__(
        self,
        original: Network,
        begun: Begun,
        target: Target,
        rounded: Mapping[str, Rounded],
        settings: Settings,
        feeding: Feeding,
        samples: Samples,
        run: Path,
    ) -> None:
        self._begun, self._target, self._settings = begun, target, settings
        self._feeding, self._samples, self._run = feeding, samples, run
        wanted = (target.tensor, *begun.narrow_floats, *begun.decoded.values())
        torch.manual_seed(settings.seed)
        self._student = Trainable(begun.network, wanted, rounded)
        self._input = original.input.name
        self._asked = list(dict.fromkeys([target.tensor, *settings.cut]))
        self._teacher = Runner(with_outputs(original.model, self._asked))
        self._pixels = feeding.height * feeding.width
        tensors = begun.network.tensors
        self._rates = torch.nn.ModuleList([RateModel(1, tensors[name].shape[1]) for name in begun.narrow_floats])
        self._optimiser = self._made_optimiser()
        self.step = 0

    def _made_optimiser(self) -> torch.optim.AdamW:
        peak = self._settings.learning_rate
        own: list[Tensor] = []
        paired: list[Tensor] = []
        for name, weight in self._student.named_weights().items():
            (paired if name.startswith("narrows/pair") else own).append(weight)
        groups = [(own, _OWN_SHARE * peak), (paired, peak), (list(self._rates.parameters()), _RATE_SHARE * peak)]
        return torch.optim.AdamW(
            [{"params": params, "lr": rate, "peak": rate} for params, rate in groups if params], weight_decay=0.0
        )

    def to_the_end(self, say: Say) -> Trainable:
        """Train what is left, saving every so often; the trained network."""
        path = self._run / CHECKPOINT
        if path.is_file():
            self._load(path)
            say(f"resuming {self._run} after step {self.step}")
        saved = time.monotonic()
        told: dict[str, float] = {}

        def tell(line: str) -> None:
            say(f"{line}; {', '.join(f'{name} {value:.4g}' for name, value in told.items())}")

        total = self._settings.steps
        for step in rounds("step", range(total), tell, self.step):
            told = self.take(step)
            self.step = step + 1
            if time.monotonic() - saved > _SAVED_EVERY_S or self.step == total:
                self._save(path, told)
                saved = time.monotonic()
        return self._student

    def take(self, step: int) -> dict[str, float]:
        """One step on a few pictures; what it saw is the same however often the run is stopped."""
        settings = self._settings
        chance = random.Random(settings.seed * 1_000_003 + step)
        torch.manual_seed(settings.seed * 1_000_003 + step)
        set_learning_rate(self._optimiser, step, settings.steps, _WARMUP_STEPS)
        self._optimiser.zero_grad(set_to_none=True)
        seen: dict[str, list[float]] = {}
        for sample in chance.choices(self._samples.trained, k=settings.batch):
            picture, labels = self._samples.view(sample, self._feeding, chance)
            feed = self._feeding.feed(picture)
            made = self._student(torch.from_numpy(feed))
            answers = self._teacher({self._input: feed})
            wanted = {name: torch.from_numpy(np.array(answers[name], np.float32)) for name in self._asked}
            raw = made[self._target.tensor]
            loss = torch.zeros(())
            if settings.learn_from != LABELS:
                loss = loss + task_loss(self._target, raw, wanted[self._target.tensor])
            if labels is not None:
                loss = loss + label_loss(self._target, raw, labels)
            seen.setdefault("task", []).append(loss.item())
            decoded = {name: made[after] for name, after in self._begun.decoded.items()}
            loss = loss + missed_loss(decoded, wanted)
            bits = self._bits(made)
            loss = loss + settings.price * bits / self._pixels
            if self._begun.narrow_floats:
                seen.setdefault("bytes by the rate model", []).append(bits.item() / 8)
            check_loss(loss)
            (loss / settings.batch).backward()  # type: ignore[no-untyped-call]
        shorten_gradient(self._student)
        self._optimiser.step()
        return {name: float(np.mean(values)) for name, values in seen.items()}

    def _bits(self, made: Mapping[str, Tensor]) -> Tensor:
        level = torch.zeros(1, dtype=torch.long)
        parts = [
            rate(add_noise(made[name]), level).sum()
            for rate, name in zip(self._rates, self._begun.narrow_floats, strict=True)
        ]
        return torch.stack(parts).sum() if parts else torch.zeros(())

    def _save(self, path: Path, told: Mapping[str, float]) -> None:
        state = {
            "step": self.step,
            "weights": self._student.state_dict(),
            "rates": self._rates.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        append_record(self._run, {"step": self.step} | {n: float(f"{v:.5g}") for n, v in told.items()})
        write_stored(state, path)

    def _load(self, path: Path) -> None:
        names = {"weights", "rates", "optimiser", "step"}
        state = read_stored(path, "training of `narrows split compress`", names, BEGIN_ANEW)
        state.fill(self._student, "weights")
        state.fill(self._rates, "rates")
        state.fill(self._optimiser, "optimiser")
        self.step = int(state.values["step"])
