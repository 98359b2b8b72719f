"""The Triton server: is it there, is the decoder ready, and does each of its instances really answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

import numpy as np

from narrows.contract.bundle import parse_id
from narrows.contract.errors import BundleError
from narrows.runtime.direct import GRPC_DIRECT
from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.triton_config.control import PROBE_MODEL, REMEDY, refuses_control

ANSWER_S = 5.0
MOST_PROBES = 64
_PREFIX = "decoder_"


@dataclass(frozen=True, slots=True)
class Probe:
    """Frames of zeros sent to all of a model's instances at once: how many answered, and why others did not."""

    instances: int
    answered: int
    failures: tuple[str, ...]
    silent: int


@dataclass(frozen=True, slots=True)
class TritonFacts:
    """What the server says of itself: its version, the state of each decoder, what came of probing the ready ones.

    ``explicit`` says whether it loads models by request.
    """

    version: str
    states: Mapping[str, str]
    probes: Mapping[str, Probe]
    explicit: bool = True

    @property
    def served(self) -> frozenset[int]:
        """The ids of the bundles whose decoders are ready."""
        return frozenset(bundle for name in self.probes if (bundle := _bundle_of(name)) is not None)


def gather(address: str) -> TritonFacts:
    """Ask the server, and have each ready decoder decode a few frames of zeros.

    Raises:
        InferenceServerException: it does not answer.
        ModuleNotFoundError: narrows[cloud] is not installed.
    """
    from tritonclient.grpc import InferenceServerClient  # noqa: PLC0415

    with InferenceServerClient(address, channel_args=[GRPC_DIRECT]) as client:
        version = str(client.get_server_metadata(client_timeout=ANSWER_S).version)
        index = client.get_model_repository_index(client_timeout=ANSWER_S).models
        states = {str(model.name): str(model.state) for model in index if _bundle_of(str(model.name)) is not None}
        probes = {name: _probe(client, name) for name, state in states.items() if state == "READY"}
        explicit = _takes_loads(client)
    return TritonFacts(version, states, probes, explicit)


def judge(facts: TritonFacts, wanted: Sequence[str]) -> Iterator[Finding]:
    """A line for the server and one for each decoder; ``wanted`` are the models of the bundles named."""
    yield ok("Triton", f"version {facts.version}")
    if not facts.explicit:
        yield warn("Triton", "it loads no model by request (no explicit model control)", REMEDY)
    for name in sorted({*wanted, *facts.probes}):
        if name in facts.probes:
            yield judge_probe(name, facts.probes[name])
        elif name in facts.states:
            state = facts.states[name] or "not loaded"
            yield fail("decoder", f"{name} is {state}", "`narrows orchestrate --bundle` loads it; look at Triton's log")
        else:
            remedy = "fill its model repository: `narrows export`, or copy model_repository/"
            yield fail("decoder", f"{name} is not in Triton's model repository", remedy)
    if not facts.probes and not wanted:
        yield warn("decoder", "no decoder is loaded", "start `narrows orchestrate`, which loads its bundles' decoders")


def judge_probe(name: str, probe: Probe) -> Finding:
    """Whether a model that calls itself ready works, in all of its instances."""
    remedy = "a dispatcher loads it anew when it meets this; by hand: unload and load the model, or restart Triton"
    asked = probe.answered + len(probe.failures) + probe.silent
    if probe.failures:
        dead = any("Stub process" in each for each in probe.failures)
        cause = "an instance is dead or hangs" if dead else probe.failures[0].strip().partition("\n")[0]
        return fail("decoder", f"{name} is READY, but {len(probe.failures)} of {asked} frames failed: {cause}", remedy)
    if probe.silent:
        detail = f"{name} is READY, but {probe.silent} of {asked} frames got no answer in {ANSWER_S:g} s"
        return fail("decoder", detail, "it hangs or is far over its capacity: look at Triton's log, else restart it")
    return ok("decoder", f"{name} ready, {probe.instances} instances answer")


def _takes_loads(client: Any) -> bool:  # noqa: ANN401
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415

    try:
        client.unload_model(PROBE_MODEL, client_timeout=ANSWER_S)
    except InferenceServerException as error:
        return not refuses_control(str(error.message()))
    return True


def _probe(client: Any, name: str) -> Probe:  # noqa: ANN401
    from tritonclient.grpc import InferInput  # noqa: PLC0415

    config = client.get_model_config(name, client_timeout=ANSWER_S).config
    instances = sum(group.count * max(1, len(group.gpus)) for group in config.instance_group) or 1
    inputs = []
    for item in config.input:
        kind = str(config.DESCRIPTOR.file.enum_types_by_name["DataType"].values_by_number[item.data_type].name)
        zeros = np.zeros((1, *item.dims), np.int8 if kind == "TYPE_INT8" else np.int32)
        sent = InferInput(item.name, list(zeros.shape), kind.removeprefix("TYPE_"))
        sent.set_data_from_numpy(zeros)
        inputs.append(sent)
    answers: Queue[str | None] = Queue()

    def take(result: object, error: Exception | None) -> None:  # noqa: ARG001 - tritonclient names its arguments
        answers.put(None if error is None else str(error))

    asked = min(MOST_PROBES, 2 * instances)
    for _ in range(asked):
        client.async_infer(name, inputs, take, client_timeout=ANSWER_S)
    return _collect(answers, asked, instances)


def _collect(answers: Queue[str | None], asked: int, instances: int) -> Probe:
    came: list[str | None] = []
    with suppress(Empty):
        while len(came) < asked:
            came.append(answers.get(timeout=ANSWER_S + 1.0))
    late = [each for each in came if each is not None and "Deadline Exceeded" in each]
    failures = tuple(each for each in came if each is not None and each not in late)
    return Probe(instances, sum(each is None for each in came), failures, asked - len(came) + len(late))


def _bundle_of(name: str) -> int | None:
    """The bundle id in a decoder's name."""
    if not name.startswith(_PREFIX):
        return None
    try:
        return parse_id(name.removeprefix(_PREFIX))
    except BundleError:
        return None
