"""A real Redis-protocol server, a small bundle, and dispatchers that run in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle, InputSpec, Manifest, RateLevel
from narrows.contract.bundle.manifest import CAMERA_DECODER, FileEntry
from narrows.contract.codec import LabelTables, count_label_tables, count_tables, remember
from narrows.contract.codec.counting import Moments
from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import ReplyRefused
from orchestrator.dispatch import Connected, Dispatcher, DispatchSettings, Store
from orchestrator.dispatch.unsealing import KeySettings
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.mask_camera import MakeMaskCamera, MaskCamera
from tests.integration.dispatch.rig import CLASSES, LATENT, QUICK, SHARDS, Camera, MakeCamera, RuleDecoder, Start, rule
from tests.integration.while_running import while_running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    with LocalRedis.start(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    await store.call("CONFIG", "SET", "proto-max-bulk-len", "512mb")  # a server that lets large entries in
    yield store
    await nothing_stays_delivered(store)
    await store.close()


async def nothing_stays_delivered(store: Store) -> None:
    """After every scenario: what was ended was acknowledged too, or the list of what is pending would only grow.

    Entries that a scenario leaves without an end are still in their stream.
    """
    for key in await store.scan_streams("narrows:{*}:in:*"):
        (pending,) = await store.many([("XPENDING", key, GROUP, "-", "+", 10_000)])
        if isinstance(pending, ReplyRefused):  # nobody read it
            continue
        there = {entry[0] for entry in await store.call("XRANGE", key, "-", "+")}
        assert [entry[0] for entry in pending if entry[0] not in there] == [], (
            f"delivered and never acknowledged in {key!r}"
        )


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle()


@pytest.fixture(scope="session")
def masking() -> Bundle:
    """A bundle with a decoder for cameras, and label tables of its own."""
    return replace(make_bundle({CAMERA_DECODER: FileEntry("0" * 64, 1)}), id=0xCAFE, label_tables=own_tables())


def own_tables() -> LabelTables:
    """Tables that are not the general ones."""
    return count_label_tables([[rule(plane, 0)] for plane in _planes()], CLASSES)


def _planes() -> NDArray[np.int8]:
    return np.random.default_rng(0).integers(-3, 4, (6, *LATENT.as_tuple())).astype(np.int8)


def make_bundle(files: dict[str, FileEntry] | None = None) -> Bundle:
    """A bundle without networks: the decoder by rule needs none."""
    planes = _planes()
    tables = count_tables(
        [planes, planes // 2],
        [Moments(planes, remember(planes[::-1])), Moments(planes // 2, remember(planes[::-1] // 2))],
    )
    manifest = Manifest(
        name="rule",
        version="1",
        classes=tuple("abcde"),
        palette=((0, 0, 0),) * CLASSES,
        input=InputSpec(16, 12, 0.0, 1.0),
        latent=LATENT,
        levels=(RateLevel((1.0,) * 4, 1.0), RateLevel((0.5,) * 4, 0.5)),
        coding_order="channel, row, column",
        licence="none",
        provenance="made for a test",
        files=files or {},
    )
    return Bundle(folder=None, id=0xFEED, manifest=manifest, tables=tables)  # type: ignore[arg-type]


@pytest.fixture
def decoder() -> RuleDecoder:
    return RuleDecoder()


@pytest.fixture
def camera(store: Store, bundle: Bundle) -> MakeCamera:
    return lambda stream="cam-1", **fields: Camera(store, bundle, stream, **fields)


@pytest.fixture
def masker(store: Store, masking: Bundle) -> MakeMaskCamera:
    return lambda stream="cam-1", **fields: MaskCamera(store, masking, stream, **fields)


@asynccontextmanager
async def closing(store: Store) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await store.close()


@pytest.fixture
def told(request: pytest.FixtureRequest) -> bool:
    """Whether Redis says what is written, as it does in shards of many streams: for tests that ask for both."""
    return bool(getattr(request, "param", False))


@pytest.fixture
def dispatching(server: LocalRedis, bundle: Bundle, decoder: RuleDecoder, store: Store, *, told: bool) -> Start:
    """Run a dispatcher while the context lasts: ``async with dispatching() as dispatcher``."""

    @asynccontextmanager
    async def start(
        settings: DispatchSettings = QUICK,
        *,
        with_decoder: RuleDecoder | None = None,
        keys: KeySettings = KeySettings(),  # noqa: B008 - frozen
        serving: Bundle = bundle,
    ) -> AsyncIterator[Dispatcher]:
        own_store = Store.connect(server.url)
        used = with_decoder or decoder

        async def connect() -> Connected:
            return Connected(used)

        chosen = replace(settings, waited_streams=0) if told else settings
        served = {serving.id: (serving, connect)}
        async with closing(own_store):
            dispatcher = await Dispatcher.create(own_store, served, chosen, shards=SHARDS, keys=keys)
            async with while_running(dispatcher):
                yield dispatcher

    return start


@pytest.fixture
def dying(server: LocalRedis, bundle: Bundle, decoder: RuleDecoder) -> Start:
    """Run a dispatcher that is gone at the context's end as one that is killed: nothing is finished or given back."""

    @asynccontextmanager
    async def start(settings: DispatchSettings = QUICK) -> AsyncIterator[Dispatcher]:
        async def connect() -> Connected:
            return Connected(decoder)

        store = Store.connect(server.url)
        async with closing(store):
            dispatcher = await Dispatcher.create(store, {bundle.id: (bundle, connect)}, settings, shards=SHARDS)
            running = asyncio.create_task(dispatcher.run(asyncio.Event()))
            try:
                yield dispatcher
            finally:
                running.cancel()
                await asyncio.wait([running])

    return start
