"""A whole split as ``narrows promptable evaluate`` judges it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import ConfigError
from narrows.models.promptable.data import Layout, in_fold, open_instances
from narrows.models.promptable.data.instances import read_all
from narrows.models.promptable.evaluation.evaluate import GrabCut, evaluate_prompts
from narrows.models.promptable.evaluation.scores import PromptScores, ThingScore, summarise
from narrows.models.promptable.prompts import PromptKind
from narrows.models.promptable.sam import SamPair
from narrows.runtime.prompting.segmenter import PromptSegmenter


@dataclass(frozen=True)
class Split:
    """Which pictures of which data set: a whole split, or one fold of it."""

    data: Path
    layout: Layout
    name: str
    fold: int | None = None


def evaluate_split(
    split: Split,
    kind: PromptKind,
    network: Path | None,
    *,
    encoder: Path | None = None,
    grabcut: GrabCut | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PromptScores, Sequence[ThingScore]]:
    """Judge a network's file on a split; floors alone where there is no network.

    With ``encoder`` the network is the decoder of a SAM pair.

    Raises:
        DatasetError: the split is not there, or not in this layout.
        WeightsMismatch: the network is no graph of ``narrows promptable export``.
        ConfigError: there is an encoder without its decoder.
    """
    if encoder is not None and network is None:
        raise ConfigError("--encoder is half of a pair: give its decoder as --network")
    dataset = open_instances(split.data, split.layout, split.name)
    names = dataset.names if split.fold is None else in_fold(dataset.names, split.fold)
    segmenter = None if network is None else open_segmenter(network, encoder)
    things = evaluate_prompts(
        read_all(dataset, names),
        kind,
        None if segmenter is None else segmenter.segment,
        grabcut=grabcut,
        progress=None if progress is None else lambda done: progress(done, len(names)),
    )
    scores = summarise(
        things,
        layout=split.layout.value,
        split=split.name,
        fold=split.fold,
        prompt=kind.value,
        network=None if network is None else network.name,
        pictures=len(names),
        unseen_fold=segmenter.unseen_fold if isinstance(segmenter, PromptSegmenter) else None,
    )
    return scores, things


def open_segmenter(network: Path, encoder: Path | None) -> PromptSegmenter | SamPair:
    """A graph of ``narrows promptable export``, or with an encoder a pair of the SAM family.

    Raises:
        WeightsMismatch: the files are something else.
    """
    return PromptSegmenter.open(network) if encoder is None else SamPair.open(encoder, network)
