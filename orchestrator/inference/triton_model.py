"""One model on one Triton server, over gRPC: the border at which tritonclient's values and errors become ours."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc.aio
import structlog
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from narrows.contract.bundle import ServedModel
from narrows.contract.errors import InferenceFailed, NarrowsError, ServiceError
from narrows.runtime.direct import GRPC_DIRECT
from narrows.runtime.triton_config import with_heads_of
from narrows.runtime.triton_config.control import PROBE_MODEL, REMEDY, refuses_control
from orchestrator.inference.cost import BatchTotals
from orchestrator.inference.infer_message import METHOD, InferAnswer
from orchestrator.inference.patience import AnswerDeadline
from orchestrator.inference.unary_call import CallFailed, CallLost, NotAsked, UnaryMethod, Unreadable
from orchestrator.telemetry.faults import Cause, Report, unreported

_log = structlog.get_logger(__name__)
_ABSENT = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "NOT_FOUND", "UNIMPLEMENTED")
_CHANNEL = [
    GRPC_DIRECT,
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]
_CONTROL_S, _LOAD_S = 5.0, 300.0
_STATUS = {int(code.value[0]): str(code) for code in grpc.StatusCode}
_STAMP_DIGITS = 18  # a count of more is nobody's of ours, and is begun anew
_ALIVE_S = 2.0  # frames wait for this answer; a server that owes it too is frozen as a whole, and reloading is in vain


class RegionUnknown(ServiceError):
    """The server does not know a shared memory region (any more): it was restarted. Register it again."""


class Unanswered(ServiceError):
    """A request ended without an answer: the server may still be reading and writing the memory that it named."""


class Overdue(Unanswered):
    """An answer took far longer than those before it: an instance hangs. All were made anew; ask once more."""


class ModelMissing(ServiceError):
    """The server is there and does not serve the model."""


class ControlRefused(ServiceError):
    """The server loads and unloads no model by request: it does not run with explicit model control."""


class InstanceLost(ServiceError):
    """A process of a python-based backend died: Triton neither restarts it nor stops giving it requests."""


@dataclass(frozen=True)
class ServerDescription:
    """What runs the model, as the server reports it."""

    version: str
    model: str
    platform: str
    backend: str


@dataclass(frozen=True)
class ModelStatistics:
    """What a server counted of a model since it was loaded.

    Attributes:
        batches: executions and their compute, by batch size.
        requests: requests that left the queue.
        queue_s: seconds that they spent in it, together.
    """

    batches: dict[int, BatchTotals]
    requests: int
    queue_s: float


class TritonModel:
    """A thin, typed client of one model. Every method raises ``ServiceError`` when the server cannot be reached."""

    def __init__(self, address: str, name: str, *, answer_s: float = 30.0, report: Report = unreported) -> None:
        self.address = address
        self.name = name
        self.report = report
        self._patience = AnswerDeadline(answer_s)
        self._reloads = 0
        self._stamp: str | None = None
        self._reloading = asyncio.Lock()
        self._client = InferenceServerClient(address, channel_args=_CHANNEL)
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL)
        self._model_infer = self._channel.unary_unary(METHOD)
        self._calls = UnaryMethod(address, METHOD)

    async def ready(self) -> bool:
        """Whether the server is there and the model ready."""
        try:
            return bool(await _answered(self._client.is_model_ready(self.name, client_timeout=_CONTROL_S)))
        except InferenceServerException:
            return False

    async def check_control(self) -> bool:
        """Whether the server loads models by request; where it does not, that is said, and inference goes on."""
        try:
            await _answered(self._client.unload_model(PROBE_MODEL, client_timeout=_CONTROL_S))
        except InferenceServerException as error:
            if refuses_control(str(error.message())):
                _log.warning("model_control_missing", server=self.address, remedy=REMEDY)
                return False
        return True

    async def ensure_loaded(self) -> None:
        """Have the server load the model if it has not.

        Raises:
            ModelMissing: the server does not have the model, or cannot load it.
            ServiceError: the server is not there.
        """
        if await self.ready():
            return
        try:
            await _answered(self._client.is_server_live(client_timeout=_CONTROL_S))
            await _answered(self._client.load_model(self.name, client_timeout=_LOAD_S))
        except InferenceServerException as error:
            kind = ServiceError if isinstance(_ours(error, self.address), Unanswered) else ModelMissing
            raise kind(
                f"Triton at {self.address} does not serve {self.name}: {error.message()}. Is it running, and was its "
                "model repository filled by `narrows bundle install`?"
            ) from None

    async def describe(self) -> ServerDescription:
        """The server's version and the model's platform and backend."""
        server = await self._ask(self._client.get_server_metadata(client_timeout=_CONTROL_S))
        model = await self._ask(self._client.get_model_metadata(self.name, client_timeout=_CONTROL_S))
        config = await self.config()
        return ServerDescription(str(server.version), self.name, str(model.platform), str(config.backend))

    async def config(self) -> Any:  # noqa: ANN401
        """The model's configuration now, as Triton's protobuf message ``ModelConfig``."""
        answer = await self._ask(self._client.get_model_config(self.name, client_timeout=_CONTROL_S))
        if self._stamp is None:  # as it was found: who met the loss before us did not mend the next one
            parameters = answer.config.parameters
            self._stamp = str(parameters["reloaded"].string_value) if "reloaded" in parameters else ""
        return answer.config

    async def instances(self) -> int:
        """How many instances the server runs now, over all its GPUs."""
        config = await self.config()
        return sum(group.count * max(1, len(group.gpus)) for group in config.instance_group)

    async def batch_totals(self) -> dict[int, BatchTotals]:
        """What each batch size has cost since the model was loaded."""
        return (await self.statistics()).batches

    async def statistics(self) -> ModelStatistics:
        """What the server counted since the model was loaded."""
        answer = await self._ask(self._client.get_inference_statistics(self.name, client_timeout=_CONTROL_S))
        totals: dict[int, BatchTotals] = {}
        for entry in (entry for model in answer.model_stats for entry in model.batch_stats):
            nanoseconds = entry.compute_input.ns + entry.compute_infer.ns + entry.compute_output.ns
            own = BatchTotals(int(entry.compute_infer.count), nanoseconds / 1e9)
            totals[int(entry.batch_size)] = totals.get(int(entry.batch_size), BatchTotals()) + own
        queues = [model.inference_stats.queue for model in answer.model_stats]
        return ModelStatistics(totals, sum(int(q.count) for q in queues), sum(q.ns for q in queues) / 1e9)

    async def register(self, region: str, size_bytes: int) -> None:
        """Have the server map a shared memory region, under its own name.

        Raises:
            ServiceError: it cannot: it runs on another host, or in a container with shared memory of its own.
        """
        try:
            call = self._client.register_system_shared_memory(
                region, f"/{region}", size_bytes, client_timeout=_CONTROL_S
            )
            await _answered(call)
        except InferenceServerException as error:
            if error.status() != "StatusCode.ALREADY_EXISTS":
                raise ServiceError(f"Triton at {self.address} cannot share memory: {error.message()}") from None

    async def unregister(self, region: str) -> None:
        """Have the server forget a region; one that it does not know is no error."""
        await self._ask(self._client.unregister_system_shared_memory(region, client_timeout=_CONTROL_S))

    async def infer(self, request: bytes) -> InferAnswer:
        """Run one batch; if an instance turns out to be dead, have all of them made anew, and run it again.

        Raises:
            InferenceFailed: the server refused or failed the batch.
            RegionUnknown: a region is not registered.
            Overdue: no answer came in a time that was ample so far; the instances were made anew.
            Unanswered: no answer came.
        """
        reloads = self._reloads
        try:
            return await self._infer(request)
        except InstanceLost as error:
            await self._make_anew(reloads, Cause.TRITON_INSTANCE_LOST, str(error))
            return await self._infer(request)
        except Overdue as error:
            self._patience.timed_out()
            await self._make_anew(reloads, Cause.TRITON_HUNG, str(error))
            raise

    async def exchange(self, served: ServedModel) -> None:
        """Have the server load what its repository holds of ``served`` by now, with its outputs and versions of heads.

        Instances and all else of the configuration stay. The graph that runs answers until the new one is ready, and
        goes on if that cannot be loaded.

        Raises:
            InferenceFailed, ServiceError: it was not loaded.
        """
        answer = await self._ask(self._client.get_model_config(self.name, as_json=True, client_timeout=_CONTROL_S))
        config = json.dumps(with_heads_of(answer["config"], served))
        await self._ask(self._client.load_model(self.name, config=config, client_timeout=_LOAD_S))

    async def close(self) -> None:
        """Close the connection."""
        self._calls.close()
        await self._client.close()
        await self._channel.close()

    async def _infer(self, request: bytes) -> InferAnswer:
        begun_s, bound_s = time.monotonic(), self._patience.bound_s
        try:
            answer = await self._answer(request, begun_s + bound_s)
        except TimeoutError:
            raise self._overdue(bound_s) from None
        except CallLost as lost:
            raise Unanswered(f"Triton at {self.address} does not answer: {lost}") from None
        except CallFailed as failed:
            raise _ours(
                InferenceServerException(failed.message, _STATUS.get(failed.status, str(grpc.StatusCode.UNKNOWN))),
                self.address,
            ) from None
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._overdue(bound_s) from None
            raise _ours(InferenceServerException(error.details(), str(error.code())), self.address) from None
        self._patience.answered(time.monotonic() - begun_s)
        return InferAnswer(answer)

    async def _answer(self, request: bytes, until_s: float) -> bytes:
        """Over the connection of our own, or through gRPC where the server was not asked there or is done with it."""
        try:
            return await self._calls.call(request, until_s - time.monotonic())
        except NotAsked:
            pass
        except Unreadable as why:
            self.report(Cause.TRITON_ASKED_AGAIN, f"Triton at {self.address}: {why}; asked again through gRPC")
        try:
            answer: bytes = await self._model_infer(request, timeout=until_s - time.monotonic())
        except grpc.aio.UsageError as closed:
            raise CallLost(str(closed)) from None
        return answer

    def _overdue(self, bound_s: float) -> Overdue:
        return Overdue(f"Triton at {self.address} owes an answer for {bound_s:.1f} s")

    async def _make_anew(self, reloads: int, cause: Cause, detail: str) -> None:
        """Replace the instances, unless another batch had it done since."""
        async with self._reloading:
            if self._reloads == reloads:
                self.report(cause, detail)
                try:
                    await self._reload()
                except ControlRefused as error:  # other instances may live: the batch is tried once more
                    _log.warning("instances_restart_failed", server=self.address, error=str(error), remedy=REMEDY)

    async def _reload(self) -> None:
        """Load the model with the configuration that it has; a parameter that changes makes Triton start it anew.

        The parameter counts. If it is not as we last saw it, another dispatcher was quicker: its instances are tried
        first. If another asks at the same time it asks for the same, which Triton grants once.
        """
        answer = await self._ask(self._client.get_model_config(self.name, as_json=True, client_timeout=_ALIVE_S))
        config = answer["config"]
        parameters = config.setdefault("parameters", {})
        stamp = parameters.get("reloaded", {}).get("string_value", "")
        if self._stamp in {None, stamp}:
            stamp = str(int(stamp) + 1 if stamp.isdecimal() and len(stamp) < _STAMP_DIGITS else 1)
            parameters["reloaded"] = {"string_value": stamp}
            await self._ask(self._client.load_model(self.name, config=json.dumps(config), client_timeout=_LOAD_S))
        self._stamp = stamp
        self._reloads += 1

    async def _ask(self, call: Awaitable[Any]) -> Any:  # noqa: ANN401
        try:
            return await _answered(call)
        except InferenceServerException as error:
            raise _ours(error, self.address) from None


async def _answered(call: Awaitable[Any]) -> Any:  # noqa: ANN401
    """What the client answers. Of a connection that was closed no answer will come, as of one that broke."""
    try:
        return await call
    except grpc.aio.UsageError as closed:
        raise InferenceServerException(str(closed), str(grpc.StatusCode.CANCELLED)) from None


def _ours(error: InferenceServerException, address: str) -> NarrowsError:
    code, message = _code(error), str(error.message())
    if refuses_control(message):
        return ControlRefused(f"Triton at {address} has no explicit model control: {message}")
    if "unable to find shared memory region" in message.lower():
        return RegionUnknown(message)
    if code in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}:
        return Unanswered(f"Triton at {address} does not answer: {message}")
    if code in _ABSENT or "unexpected inference output" in message:  # a head was removed meanwhile: frames are innocent
        return ServiceError(f"Triton at {address}: {message}")
    if "Stub process" in message:
        return InstanceLost(f"Triton at {address} lost an instance: {message}")
    return InferenceFailed(f"Triton at {address}: {message}")


def _code(error: InferenceServerException) -> str:
    return str(error.status()).removeprefix("StatusCode.")
