"""A network made narrow at a cut, in a run folder that can be gone on with.

A run folder holds ``config.json`` (what was asked for), ``begun.onnx`` and ``begun.json`` (the graph before training,
with float weights), ``checkpoint.pt`` and ``progress.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import torch

from narrows.contract.errors import ConfigError, NotTrainable
from narrows.contract.wire.record import decode_record
from narrows.models.bottleneck.checking import check_computed
from narrows.models.bottleneck.gradients import gradients_at
from narrows.models.bottleneck.objective import Target, target_of
from narrows.models.bottleneck.pair import Pair, insert_pairs
from narrows.models.bottleneck.pruning import Pruning, prune, seen_on, with_outputs
from narrows.models.bottleneck.samples import Sample, Samples, open_samples
from narrows.models.bottleneck.settings import NETWORK, Compressed, Request, Settings
from narrows.models.bottleneck.trainable import check_trainable
from narrows.models.bottleneck.training import Begun, Training
from narrows.models.bottleneck.weights import Rounded, with_float_weights, with_whole_weights
from narrows.models.split.agreement import agreement
from narrows.models.split.cuts import cut_at
from narrows.models.split.design import fit_coders, fit_rounding
from narrows.models.split.feeding import Feeding
from narrows.models.split.halves import Runner, Values
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network
from narrows.models.training.run_folder import CONFIG, keep_settings, locked
from narrows.runtime.pictures import read_picture
from narrows.runtime.writing import write_file

_CALIBRATION = 64
"""Pictures on which principal components are found: of fewer than a few dozen they are those of the pictures."""
_MOST_BYTES = 1 << 20
_TABLES_FROM = 12
_ASKED_ON = 8
"""Pictures on which it is asked what the answer hangs on."""
_CROSSING_BITS = 8
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Narrow:
    """Names of :class:`~narrows.models.bottleneck.pair.Inserted`, as ``begun.json`` keeps them."""

    narrow: tuple[str, ...]
    narrow_floats: tuple[str, ...] = ()
    decoded: dict[str, str] = field(default_factory=dict)


def compress(request: Request, settings: Settings, say: Say) -> Compressed:
    """Write the compressed network to ``request.out``; a run that was stopped goes on.

    Raises:
        CutUnknown: the tensors do not part the network.
        NotTrainable: an operator, or the output, is none through which is learned here.
        DatasetError: too few pictures, or no labels where they are asked for.
        ConfigError: the run folder is in use, or was begun with other options; or nothing is asked for.
    """
    if not settings.prune and not settings.channels:
        raise ConfigError("nothing to do: --prune is 0 and --channels is 0")
    torch.set_num_threads(request.threads)
    original = open_network(request.network, request.input_shape)
    feeding, target = Feeding.of(original, request.normalisation), target_of(original)
    _check(original, settings.cut, target)
    named = settings
    settings = replace(named, cut=cut_at(original, named.cut).names)
    labelled = settings.learn_from != NETWORK
    if labelled and not target.decides:
        raise NotTrainable(f"{target.tensor} decides among no classes: --learn-from network is for it")
    count = original.tensors[target.tensor].shape[1] if target.decides else 0
    samples = open_samples(request.data, request.split, request.classes, count, labelled=labelled)
    check_trainable(original, [target.tensor])
    floats, rounded = with_float_weights(original.model)
    feeds = [
        {original.input.name: feeding.feed(read_picture(each.path))} for each in _spread(samples.trained, _CALIBRATION)
    ]
    if not np.isfinite(seen_on(original, [target.tensor], feeds[:1])[target.tensor].astype(float)).all():
        raise NotTrainable(f"{target.tensor} is NaN or infinite on {samples.trained[0].path}: nothing is learned of it")
    check_computed(original, target.tensor, feeds[0])
    with locked(request.run):
        _claim(request, named, original)
        begun = _begin(floats, settings, feeds, target, rounded, request.run)
        training = Training(original, begun, target, rounded, settings, feeding, samples, request.run)
        trained = training.to_the_end(say)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    network = _opened(with_whole_weights(trained.written(), rounded), request.out)
    return _judged(original, network, settings, begun.narrow, feeding, samples)


def _check(network: Network, names: Sequence[str], target: Target) -> None:
    """A cut, of tensors that nobody else asks for, in a network of float32 or int8."""
    for tensor in cut_at(network, names).tensors:
        if tensor.name in network.outputs:
            raise NotTrainable(f"{tensor.name} is an output itself, so it crosses as it is: choose another cut")
    for place in sorted(network.needed([target.tensor])[0]):
        for name in network.nodes[place].outputs:
            dtype = network.tensors[name].dtype
            if network.tensors[name].is_float and dtype != "float32":
                raise NotTrainable(f"{name} is {dtype}: networks are trained in float32 here, so convert it")


def _claim(request: Request, settings: Settings, network: Network) -> None:
    """Make the run folder this compression's, or see that it is."""
    run = request.run
    asked = asdict(settings) | {"network": network.digest, "normalisation": asdict(request.normalisation)}
    asked |= {"input_shape": network.input.shape, "classes": request.classes}
    wanted = json.loads(json.dumps(asked | {"data": str(request.data), "split": request.split}))
    path = run / CONFIG
    keep_settings(path, wanted, begun=path.is_file())


def _begin(
    floats: onnx.ModelProto,
    settings: Settings,
    feeds: Sequence[Values],
    target: Target,
    rounded: Mapping[str, Rounded],
    run: Path,
) -> Begun:
    """The graph before training, made unless a run has it."""
    graph, names = run / "begun.onnx", run / "begun.json"
    if not names.is_file():
        network = _opened(floats, graph)
        if settings.prune:
            how = Pruning(settings.prune, settings.bits_weight)
            cut = cut_at(network, settings.cut)
            network = _opened(prune(network, cut, feeds[:_ASKED_ON], how, target, rounded), graph)
        found = _Narrow(tuple(settings.cut))
        if settings.channels:
            pair = Pair(settings.channels, settings.stride, settings.noise)
            cut = cut_at(network, settings.cut)
            gradients = gradients_at(network, cut, feeds[:_ASKED_ON], target, rounded)
            inserted = insert_pairs(network, cut, pair, feeds, settings.seed, gradients)
            _opened(inserted.model, graph)
            found = _Narrow(tuple(inserted.narrow), tuple(inserted.narrow_floats), inserted.decoded)
        write_file(names, json.dumps(asdict(found)) + "\n")
    held = decode_record(names.read_bytes(), _Narrow, what=str(names), most_bytes=_MOST_BYTES)
    return Begun(open_network(graph), held.narrow, held.narrow_floats, held.decoded)


def _spread(samples: Sequence[Sample], count: int) -> Sequence[Sample]:
    return samples[:: max(1, len(samples) // count)][:count]


def _opened(model: onnx.ModelProto, path: Path) -> Network:
    write_file(path, model.SerializeToString())
    return open_network(path)


def _judged(
    original: Network,
    network: Network,
    settings: Settings,
    narrow: tuple[str, ...],
    feeding: Feeding,
    samples: Samples,
) -> Compressed:
    chosen = _spread(samples.trained, _TABLES_FROM)
    fitted, judged = ([feeding.feed(read_picture(each.path)) for each in some] for some in (chosen, samples.held_out))
    sizes, runners = [], []
    for each, names in ((original, settings.cut), (network, narrow)):
        runner = Runner(with_outputs(each.model, list(dict.fromkeys([each.outputs[0], *names]))))
        runners.append(runner)
        crossed = [_only(runner({each.input.name: feed}), names) for feed in (*fitted, *judged)]
        rounding = fit_rounding(crossed[: len(fitted)], names, _CROSSING_BITS, None)
        coders = fit_coders(rounding, crossed[: len(fitted)])
        symbols = [rounding.symbols(values) for values in crossed[len(fitted) :]]
        sizes.append(np.mean([sum(len(coders[n].encode(s)) for n, s in some.items()) for some in symbols]))
    name = original.outputs[0]
    shares = [
        agreement(*(runner({original.input.name: feed})[name] for runner in reversed(runners))) for feed in judged
    ]
    return Compressed(
        cut=narrow,
        head_macs=cut_at(network, narrow).head_macs,
        head_macs_before=cut_at(original, settings.cut).head_macs,
        agreement=float(np.mean(shares)),
        bytes=float(sizes[1]),
        bytes_before=float(sizes[0]),
        pictures=len(judged),
    )


def _only(values: Values, names: Sequence[str]) -> Values:
    return {name: values[name] for name in names}
