"""A joint decoder, or the tail of a split network, on Triton."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Self

import structlog
from tritonclient.grpc import model_config_pb2

from narrows.contract.bundle import Head, ServedModel
from narrows.contract.errors import NarrowsError, ServiceError
from narrows.runtime.triton_config import DATA_TYPES, head_parameter, model_name
from orchestrator.inference.contract import Slot
from orchestrator.inference.cost import BatchTotals
from orchestrator.inference.region import remove_abandoned_regions
from orchestrator.inference.shape import BatchShape
from orchestrator.inference.slots import PlainSlot, SharedSlot
from orchestrator.inference.triton_model import ServerDescription, TritonModel
from orchestrator.telemetry.faults import Report, unreported

_log = structlog.get_logger(__name__)
_REMEDY = "fill its model repository: narrows bundle install BUNDLE --model-repository DIR"


class TritonDecoder:
    """One model on one Triton server. Make it with :meth:`connect`.

    It heals by itself when the server comes back after a crash. After a ``fork`` without ``exec`` it is of no use in
    the forked process (gRPC's threads are not there): make pools of workers before, or with ``spawn``.

    Attributes:
        max_batch: the largest batch that both sides take.
        shared_memory: whether batches travel through shared memory.
        heads_differ: the server lacks heads of the bundle (its model repository was not filled with them yet), or has
            some still that were removed.
    """

    def __init__(
        self,
        model: TritonModel,
        slots: list[PlainSlot] | list[SharedSlot],
        max_batch: int,
        *,
        heads_differ: bool = False,
    ) -> None:
        self.max_batch = max_batch
        self.heads_differ = heads_differ
        self.shared_memory = any(isinstance(slot, SharedSlot) for slot in slots)
        self._model = model
        self._slots = slots
        self._free: asyncio.Queue[Slot] = asyncio.Queue()
        for slot in slots:
            self._free.put_nowait(slot)

    @classmethod
    async def connect(
        cls,
        url: str,
        served: ServedModel,
        *,
        max_batch: int,
        slots: int,
        shared_memory: bool | None = None,
        report: Report = unreported,
        removed: Collection[str] = (),
        let_go: bool = False,
    ) -> Self:
        """Connect to Triton, have it load the model if it has not, and prepare the slots.

        Args:
            url: ``host:port`` of its gRPC service.
            served: what to run.
            max_batch: the largest batch wanted; the model's own limit may lower it.
            slots: how many batches may be on their way at once.
            shared_memory: ``None`` to use it where the server can (it is on this host), ``True`` to insist.
            report: is told of faults that were met and mended.
            removed: heads that the bundle had before.
            let_go: have the server load the model without these.

        Raises:
            ServiceError: the server is absent, does not have the model (``ModelMissing``), or has one of other shapes.
        """
        model = TritonModel(url, model_name(served.id), report=report)
        try:
            await model.ensure_loaded()
            await model.check_control()
            config = await _config_with_heads(model, served, removed if let_go else ())
            heads = [head for head in served.heads.heads if _serves(config, head)]
            most = min(max_batch, config.max_batch_size) if served.batched else 1
            shape = BatchShape.of(served, most, heads)
            _check_shapes(config, shape, batched=served.batched)
            differ = len(heads) < len(served.heads.heads) or bool(_still_there(config, removed))
            made = await _make_slots(model, shape, slots, shared_memory=shared_memory)
            return cls(model, made, shape.max_batch, heads_differ=differ)
        except BaseException:
            await model.close()
            raise

    async def lend(self) -> Slot:
        """See :class:`orchestrator.inference.contract.Decoder`."""
        return await self._free.get()

    def give_back(self, slot: Slot) -> None:
        """See :class:`orchestrator.inference.contract.Decoder`."""
        self._free.put_nowait(slot)

    async def ready(self) -> bool:
        """Whether Triton is there and the model ready."""
        return await self._model.ready()

    async def describe(self) -> ServerDescription:
        """What runs the model.

        Raises:
            ServiceError: Triton cannot be reached.
        """
        return await self._model.describe()

    async def instances(self) -> int:
        """How many instances of the model run now.

        Raises:
            ServiceError: Triton cannot be reached.
        """
        return await self._model.instances()

    async def batch_totals(self) -> dict[int, BatchTotals]:
        """What each batch size has cost since the model was loaded.

        Raises:
            ServiceError: Triton cannot be reached.
        """
        return await self._model.batch_totals()

    async def close(self) -> None:
        """Unregister and unlink the shared memory, close the connection."""
        await asyncio.gather(*(slot.close() for slot in self._slots))
        await self._model.close()


async def _config_with_heads(model: TritonModel, served: ServedModel, removed: Collection[str]) -> Any:  # noqa: ANN401
    """The model's configuration, after the server was asked to load it anew if its heads are not the bundle's.

    What it cannot load costs the head's output, nothing else: the label map goes on. A removed head is let go since
    whoever changes instances sends the configuration back as it is, and the repository has no graph for it any more.
    """
    config = await model.config()
    missing = [head.name for head in served.heads.heads if not _serves(config, head)]
    gone = _still_there(config, removed)
    if not missing and not gone:
        return config
    try:
        await model.exchange(served)
    except NarrowsError as error:
        _log.warning(
            "heads_missing",
            server=model.address,
            model=model.name,
            heads=missing,
            removed=gone,
            error=str(error),
            remedy=_REMEDY,
        )
        return config
    _log.info("heads_loaded", server=model.address, model=model.name, heads=missing, removed=gone)
    return await model.config()


def _still_there(config: Any, removed: Collection[str]) -> list[str]:  # noqa: ANN401
    """Those of the removed heads that the model answers with."""
    return [name for name in removed if head_parameter(name) in config.parameters]


def _serves(config: Any, head: Head) -> bool:  # noqa: ANN401
    """Whether a model answers with this version of a head."""
    version = config.parameters.get(head_parameter(head.name))
    return version is not None and version.string_value == head.version


def _check_shapes(config: Any, shape: BatchShape, *, batched: bool) -> None:  # noqa: ANN401
    """Outputs that nobody here asks for are a head that was removed, or one that another dispatcher knows already."""
    inputs = {item.name: (_data_type(item), tuple(item.dims)) for item in config.input}
    outputs = {item.name: (_data_type(item), tuple(item.dims)) for item in config.output}
    first = () if batched else (1,)
    wanted_inputs, wanted_outputs = (
        {each.name: (DATA_TYPES[each.dtype], (*first, *each.shape)) for each in parts}
        for parts in (shape.inputs, shape.outputs)
    )
    served, wanted = inputs | outputs, wanted_inputs | wanted_outputs
    fits = inputs == wanted_inputs and wanted_outputs.items() <= outputs.items()
    if not fits or (config.max_batch_size < 1) is batched:
        raise ServiceError(
            f"Triton's model {config.name} has {served}, batches of {config.max_batch_size}; the bundle needs "
            f"{wanted}: fill the model repository again with `narrows export`"
        )


def _data_type(item: Any) -> str:  # noqa: ANN401
    return str(model_config_pb2.DataType.Name(item.data_type)).removeprefix("TYPE_")


async def _make_slots(
    model: TritonModel, shape: BatchShape, count: int, *, shared_memory: bool | None
) -> list[PlainSlot] | list[SharedSlot]:
    if count < 1:
        raise ValueError(f"at least one slot is needed, not {count}")
    if shared_memory is not False:
        try:
            return await _share_slots(model, shape, count)
        except ServiceError:
            if shared_memory:
                raise
    return [PlainSlot(model, shape) for _ in range(count)]


async def _share_slots(model: TritonModel, shape: BatchShape, count: int) -> list[SharedSlot]:
    remove_abandoned_regions()
    slots: list[SharedSlot] = []
    try:
        for _ in range(count):
            slots.append(SharedSlot(model, shape))
            await slots[-1].register()
    except (ServiceError, asyncio.CancelledError):
        await asyncio.gather(*(slot.close() for slot in slots))
        raise
    return slots
