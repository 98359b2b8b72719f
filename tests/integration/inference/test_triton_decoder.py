import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient

from narrows.contract.bundle import Bundle, FileEntry, Head
from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.contract.outputs import Output
from narrows.runtime.onnx_runtime import InferenceSession
from narrows.runtime.triton_config import fill_repository, model_config, model_name
from orchestrator.inference import LoadMeter, TritonDecoder
from orchestrator.inference.contract import lent
from orchestrator.inference.infer_message import plain_request
from orchestrator.inference.region import FOLDER
from orchestrator.inference.slots import SharedSlot
from orchestrator.servers import LocalTriton
from tests.integration.servers.processes import members

MAX_BATCH = 8


class Batch(NamedTuple):
    symbols: NDArray[np.int8]
    levels: NDArray[np.int32]
    labels: NDArray[np.uint8]


@pytest.fixture(scope="module")
def batch(demo_bundle: Bundle) -> Batch:
    """Random symbols of mixed levels, and what ONNX Runtime makes of them in this process."""
    random = np.random.default_rng(20)
    shape = (MAX_BATCH, *demo_bundle.manifest.latent.as_tuple())
    symbols = random.integers(-4, 5, shape, dtype=np.int8)
    levels = random.integers(0, len(demo_bundle.manifest.levels), (MAX_BATCH, 1), dtype=np.int32)
    session = InferenceSession(demo_bundle.cpu_decoder_path, providers=["CPUExecutionProvider"])
    labels = session.run(["labels"], {"symbols": symbols, "level": levels})[0]
    return Batch(symbols, levels, np.asarray(labels, dtype=np.uint8))


@pytest.fixture(scope="module")
def server(
    demo_bundle: Bundle, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalTriton]:
    model = model_name(demo_bundle.id)
    with LocalTriton.start(model_repository, tmp_path_factory.mktemp("run"), [model]) as running:
        yield running


@pytest.fixture
async def decoder(server: LocalTriton, demo_bundle: Bundle) -> AsyncIterator[TritonDecoder]:
    decoder = await TritonDecoder.connect(server.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=2)
    yield decoder
    await decoder.close()


async def decode(decoder: TritonDecoder, batch: Batch, n: int, start: int = 0) -> NDArray[np.uint8]:
    async with lent(decoder) as slot:
        slot.inputs["symbols"][:n] = batch.symbols[start : start + n]
        slot.inputs["level"][:n] = batch.levels[start : start + n]
        return (await slot.run(n))[0].copy()


def ports_of(server: LocalTriton) -> tuple[int, int, int]:
    addresses = (server.grpc_address, server.http_address, server.metrics_address)
    grpc, http, metrics = (int(address.rpartition(":")[2]) for address in addresses)
    return grpc, http, metrics


def own_regions() -> set[str]:
    return {path.name for path in FOLDER.glob("narrows-slot-*")}


@pytest.mark.parametrize("n", [1, 3, MAX_BATCH])
async def test_a_batch_through_shared_memory_equals_onnx_runtime(decoder: TritonDecoder, batch: Batch, n: int) -> None:
    assert decoder.shared_memory
    np.testing.assert_array_equal(await decode(decoder, batch, n), batch.labels[:n])


async def test_a_batch_inside_the_message_equals_one_through_shared_memory(
    server: LocalTriton, demo_bundle: Bundle, decoder: TritonDecoder, batch: Batch
) -> None:
    plain = await TritonDecoder.connect(
        server.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=1, shared_memory=False
    )
    assert not plain.shared_memory
    for n in (1, 5):
        np.testing.assert_array_equal(await decode(plain, batch, n), await decode(decoder, batch, n))
    await plain.close()


async def test_many_batches_at_once_keep_apart(decoder: TritonDecoder, batch: Batch) -> None:
    parts = [(start, n) for start in range(MAX_BATCH) for n in (1, 3) if start + n <= MAX_BATCH]
    answers = await asyncio.gather(*(decode(decoder, batch, n, start) for start, n in parts))
    for (start, n), labels in zip(parts, answers, strict=True):
        np.testing.assert_array_equal(labels, batch.labels[start : start + n])


async def test_what_runs_is_named_as_it_is(decoder: TritonDecoder, demo_bundle: Bundle) -> None:
    description = await decoder.describe()
    assert description.model == model_name(demo_bundle.id)
    assert description.backend == "onnxruntime"
    assert description.version
    assert description.platform


async def test_the_models_limit_lowers_the_batch(server: LocalTriton, demo_bundle: Bundle) -> None:
    decoder = await TritonDecoder.connect(server.grpc_address, demo_bundle, max_batch=100, slots=1)
    assert decoder.max_batch == MAX_BATCH
    async with lent(decoder) as slot:
        for n in (0, MAX_BATCH + 1):
            with pytest.raises(ValueError, match="1 to 8"):
                await slot.run(n)
    await decoder.close()


async def test_a_level_that_does_not_exist_fails_that_batch_and_no_other(decoder: TritonDecoder, batch: Batch) -> None:
    async with lent(decoder) as slot:
        slot.inputs["level"][0] = 200
        with pytest.raises(InferenceFailed):
            await slot.run(1)
    np.testing.assert_array_equal(await decode(decoder, batch, 2), batch.labels[:2])


async def test_a_batch_is_answered_or_refused_by_name_without_grpcs_own_client(
    decoder: TritonDecoder, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> bytes:
        raise AssertionError("it costs three times as much")

    monkeypatch.setattr(decoder._model, "_model_infer", never)
    np.testing.assert_array_equal(await decode(decoder, batch, 2), batch.labels[:2])
    async with lent(decoder) as slot:
        slot.inputs["level"][0] = 200
        with pytest.raises(InferenceFailed, match="Triton at"):
            await slot.run(1)
    first, *_ = decoder._slots
    assert isinstance(first, SharedSlot)
    await decoder._model.unregister(first._region.name)
    for _ in decoder._slots:
        np.testing.assert_array_equal(await decode(decoder, batch, 1), batch.labels[:1])


async def test_a_batch_that_travels_inside_its_message_goes_through_grpc(decoder: TritonDecoder, batch: Batch) -> None:
    shape, symbols = decoder._slots[0]._shape, batch.symbols[:1]
    request = plain_request(decoder._model.name, shape, 1, {"symbols": symbols, "level": batch.levels[:1]})
    answer = await decoder._model.infer(request)
    np.testing.assert_array_equal(answer.values(shape.outputs[0]), batch.labels[:1])


async def test_symbols_of_a_wrong_shape_are_refused_and_the_next_batch_is_taken(
    decoder: TritonDecoder, batch: Batch
) -> None:
    shape = decoder._slots[0]._shape
    symbols, level = shape.inputs
    channels, height, width = symbols.shape
    wider = replace(shape, inputs=(replace(symbols, shape=(channels, height, width + 1)), level))
    inputs = {each.name: np.zeros((1, *each.shape), each.dtype) for each in wider.inputs}
    with pytest.raises(InferenceFailed, match="shape"):
        await decoder._model.infer(plain_request(decoder._model.name, wider, 1, inputs))
    np.testing.assert_array_equal(await decode(decoder, batch, 1), batch.labels[:1])


async def test_a_cancelled_batch_gives_up_its_memory_and_the_slot_goes_on(decoder: TritonDecoder, batch: Batch) -> None:
    before = own_regions()
    tasks = [asyncio.create_task(decode(decoder, batch, MAX_BATCH)) for _ in range(2)]
    await asyncio.sleep(0.002)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    assert len(own_regions()) == len(before)
    assert own_regions() != before
    np.testing.assert_array_equal(await decode(decoder, batch, 3), batch.labels[:3])
    np.testing.assert_array_equal(await decode(decoder, batch, 4), batch.labels[:4])


async def test_closing_leaves_no_region_here_or_at_the_server(server: LocalTriton, demo_bundle: Bundle) -> None:
    before = own_regions()
    decoder = await TritonDecoder.connect(server.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=3)
    created = own_regions() - before
    assert len(created) == 3
    await decoder.close()
    assert own_regions() == before
    with InferenceServerClient(server.grpc_address) as client:
        assert not created & set(client.get_system_shared_memory_status().regions)


async def test_the_server_sees_the_configuration_of_the_repository(server: LocalTriton, demo_bundle: Bundle) -> None:
    name = model_name(demo_bundle.id)
    with InferenceServerClient(server.grpc_address) as client:
        served = client.get_model_config(name).config
    assert f"max_batch_size: {served.max_batch_size}" in model_config(demo_bundle, max_batch=MAX_BATCH)
    assert served.dynamic_batching.max_queue_delay_microseconds == 1000
    assert [group.count for group in served.instance_group] == [1]
    assert [warm.name for warm in served.model_warmup] == ["one"]


async def test_a_head_that_the_repository_lacks_is_refused_and_the_label_map_goes_on(
    server: LocalTriton, demo_bundle: Bundle, batch: Batch
) -> None:
    """The server met it in the warm-up before, and crashed."""
    head = Head(Output("scene", "scores", "float32", (3,), "raw"), FileEntry("1" * 64, 1), 64 * "2")
    with_head = replace(demo_bundle, heads=replace(demo_bundle.heads, heads=(head,), merged=FileEntry("0" * 64, 1)))
    pid = server.pid
    decoder = await TritonDecoder.connect(server.grpc_address, with_head, max_batch=MAX_BATCH, slots=1)
    assert decoder.heads_differ
    assert "has no output ['scene']" in server.log.read_text(errors="replace")
    np.testing.assert_array_equal(await decode(decoder, batch, 1), batch.labels[:1])
    assert server.running()
    assert server.pid == pid
    await decoder.close()


async def test_instances_scaled_while_it_runs_show_in_the_load(
    server: LocalTriton, decoder: TritonDecoder, demo_bundle: Bundle, batch: Batch
) -> None:
    meter = LoadMeter(decoder)
    for n in (1, 2, 4, 8) * 3:
        meter.observe_offered(n)
        await decode(decoder, batch, n)
    one = await meter.poll()
    assert one.instances == 1
    assert one.load_ratio > 0
    assert one.cost_base_s + one.cost_per_frame_s > 0
    assert await asyncio.to_thread(scale, server.grpc_address, model_name(demo_bundle.id), 3) == 3
    three = await meter.poll()
    assert three.instances == 3
    assert three.capacity_frames_per_s > one.capacity_frames_per_s
    np.testing.assert_array_equal(await decode(decoder, batch, 2), batch.labels[:2])
    await asyncio.to_thread(scale, server.grpc_address, model_name(demo_bundle.id), 1)
    assert (await meter.poll()).instances == 1


async def test_the_busy_share_follows_the_work(decoder: TritonDecoder, batch: Batch) -> None:
    meter = LoadMeter(decoder)
    await meter.poll()
    for _ in range(5):
        await decode(decoder, batch, MAX_BATCH)
    assert 0 < (await meter.poll()).busy_ratio <= 1


@pytest.mark.parametrize("shared_memory", [True, False])
async def test_a_killed_server_is_absent_by_name_and_heals_with_its_regions_when_it_is_back(
    demo_bundle: Bundle,
    model_repository: Path,
    tmp_path: Path,
    batch: Batch,
    shared_memory: bool,  # noqa: FBT001
) -> None:
    model = model_name(demo_bundle.id)
    with LocalTriton.start(model_repository, tmp_path, [model]) as first:
        decoder = await TritonDecoder.connect(
            first.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=2, shared_memory=shared_memory
        )
        await decode(decoder, batch, 1)
        os.kill(first.pid, signal.SIGKILL)
        first.stop()
        assert not await decoder.ready()
        with pytest.raises(ServiceError, match=first.grpc_address):
            await decode(decoder, batch, 1)
        with pytest.raises(ServiceError):
            await LoadMeter(decoder).poll()
    with LocalTriton.start(model_repository, tmp_path, [model], ports=ports_of(first)):
        await until_ready(decoder)
        answers = await asyncio.gather(*(decode(decoder, batch, n) for n in (2, 3, 4)))
        for n, labels in zip((2, 3, 4), answers, strict=True):
            np.testing.assert_array_equal(labels, batch.labels[:n])
        await decoder.close()
    assert not list(FOLDER.glob(f"{first.shm_prefix}*"))


async def test_a_server_restarted_unnoticed_gets_its_regions_again(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path, batch: Batch
) -> None:
    model = model_name(demo_bundle.id)
    with LocalTriton.start(model_repository, tmp_path, [model]) as first:
        decoder = await TritonDecoder.connect(first.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=2)
        regions = own_regions()
    with LocalTriton.start(model_repository, tmp_path, [model], ports=ports_of(first)):
        await until_ready(decoder)
        for n in (2, 3):
            np.testing.assert_array_equal(await decode(decoder, batch, n), batch.labels[:n])
        assert own_regions() == regions
        await decoder.close()


async def test_an_absent_server_is_named_with_what_to_do(demo_bundle: Bundle) -> None:
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:9.*narrows bundle install"):
        await TritonDecoder.connect("127.0.0.1:9", demo_bundle, max_batch=1, slots=1)


async def test_a_model_that_was_not_loaded_is_loaded(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path, batch: Batch
) -> None:
    with LocalTriton.start(model_repository, tmp_path, []) as server:
        decoder = await TritonDecoder.connect(server.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=1)
        np.testing.assert_array_equal(await decode(decoder, batch, 1), batch.labels[:1])
        await decoder.close()


async def test_a_model_of_other_shapes_is_refused_at_once(demo_bundle: Bundle, tmp_path: Path) -> None:
    folder = fill_repository(demo_bundle, tmp_path / "repository")
    labels = f"{demo_bundle.manifest.input.height}, {demo_bundle.manifest.input.width}"
    config = folder / "configs" / "cpu.pbtxt"
    text = config.read_text()
    assert labels in text
    config.write_text(text.replace(labels, "7, 9"))
    with (
        LocalTriton.start(tmp_path / "repository", tmp_path, []) as server,
        pytest.raises(ServiceError, match="narrows export"),
    ):
        await TritonDecoder.connect(server.grpc_address, demo_bundle, max_batch=1, slots=1)


async def test_killed_backend_processes_are_replaced_and_the_instances_stay_as_many(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path, batch: Batch
) -> None:
    model = model_name(demo_bundle.id)
    with LocalTriton.start(model_repository, tmp_path, [model]) as server:
        decoder = await TritonDecoder.connect(server.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=4)
        await asyncio.to_thread(scale, server.grpc_address, model, 2)
        for stub in set(members(server.pid)) - {server.pid}:
            os.kill(stub, signal.SIGKILL)
        answers = await asyncio.gather(*(decode(decoder, batch, 2, start) for start in range(6)))
        for start, labels in enumerate(answers):
            np.testing.assert_array_equal(labels, batch.labels[start : start + 2])
        assert await decoder.instances() == 2
        await decoder.close()


async def until_ready(decoder: TritonDecoder) -> None:
    while not await decoder.ready():  # noqa: ASYNC110 - it is another process that gets ready
        await asyncio.sleep(0.05)


def scale(address: str, model: str, instances: int) -> int:
    """Change the number of instances of a running model, as the autoscaler will."""
    with InferenceServerClient(address) as client:
        config = client.get_model_config(model, as_json=True)["config"]
        config["instance_group"][0]["count"] = instances
        client.load_model(model, config=json.dumps(config))
        return sum(group.count for group in client.get_model_config(model).config.instance_group)


async def test_a_loss_heals_though_who_meets_it_came_after_an_earlier_one_was_healed(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path, batch: Batch
) -> None:
    """A pool connects anew after each failure: what the server was reloaded with before then is no one else's doing."""
    with LocalTriton.start(model_repository, tmp_path, [model_name(demo_bundle.id)]) as server:
        for _ in range(2):
            decoder = await TritonDecoder.connect(server.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=1)
            for stub in set(members(server.pid)) - {server.pid}:
                os.kill(stub, signal.SIGKILL)
            np.testing.assert_array_equal(await decode(decoder, batch, 2), batch.labels[:2])
            await decoder.close()
