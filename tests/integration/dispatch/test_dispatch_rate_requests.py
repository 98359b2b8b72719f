"""Under overload a real Redis holds what cameras are asked, and what they hold back is still seen by the scaler."""

import asyncio
from dataclasses import replace

from narrows.contract.bundle import Bundle
from narrows.contract.records.report import DispatcherReport
from narrows.contract.wire import Control, Sends, StreamSettings
from narrows.contract.wire.keys import ABLE_FIELD, ABLE_TO_MAKE_MASKS, PACKET_FIELD, ScaleKeys
from orchestrator.dispatch import Connected, Dispatcher, Store
from orchestrator.inference.contract import Batch
from orchestrator.inference.load import LoadReading
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.conftest import closing
from tests.integration.dispatch.mask_camera import MakeMaskCamera, MaskCamera
from tests.integration.dispatch.rig import QUICK, SHARDS, Camera, MakeCamera, RuleDecoder, until
from tests.integration.while_running import while_running

CAPACITY_PER_S = 20.0
WANTED_PER_S = 15.0
SETTINGS = replace(QUICK, unregistered=StreamSettings(stale_ms=500))


class SlowDecoder(RuleDecoder):
    """Takes as long for each frame as its capacity says."""

    async def run(self, n: int) -> Batch:
        await asyncio.sleep(n / CAPACITY_PER_S)
        return await super().run(n)


class Meter:
    """Knows what the slow decoder can do, as a meter that has learned it does."""

    def observe_offered(self, frames: int) -> None:
        return None

    async def poll(self) -> LoadReading:
        return LoadReading(0.0, 0.0, 1, 1, CAPACITY_PER_S, 0.0, 1 / CAPACITY_PER_S)


async def obey(store: Store, cam: Camera, stop: asyncio.Event) -> None:
    """Send at the wanted rate, or at the one that is asked for."""
    while not stop.is_set():
        record = await store.call("GET", cam.keys.control)
        cap = Control() if record is None else Control.parse(record)
        await cam.frames(1)
        await asyncio.sleep(1 / min(WANTED_PER_S, cap.frames_per_s or WANTED_PER_S))


async def cap_of(store: Store, cam: Camera) -> float | None:
    record = await store.call("GET", cam.keys.control)
    return None if record is None else Control.parse(record).frames_per_s


async def demand_reported(store: Store) -> float:
    reports = await store.hash_of(ScaleKeys.REPORTS)
    bundles = [each for data in reports.values() for each in DispatcherReport.parse(data).bundles.values()]
    return sum(rate for bundle in bundles for rate in bundle.frames_per_s.values())


async def test_cameras_are_asked_by_weight_the_scaler_sees_the_demand_and_records_expire(
    server: LocalRedis, bundle: Bundle, camera: MakeCamera, store: Store
) -> None:
    light, heavy = camera("light"), camera("heavy")
    await light.settings(StreamSettings(weight=1.0).to_json())
    await heavy.settings(StreamSettings(weight=2.0).to_json())
    await store.call("SET", light.keys.control, Control(level=1).to_json())

    async def asked_by_weight() -> bool:
        one, two = await cap_of(store, light), await cap_of(store, heavy)
        return one is not None and two is not None and abs(two / one - 2) < 0.1 and one + two < CAPACITY_PER_S

    async def demand_is_whole() -> bool:
        return await demand_reported(store) > 1.2 * CAPACITY_PER_S

    async def expired() -> bool:
        return await cap_of(store, heavy) is None

    async def connect() -> Connected:
        return Connected(SlowDecoder(), Meter())

    own, done = Store.connect(server.url), asyncio.Event()
    dispatcher = await Dispatcher.create(own, {bundle.id: (bundle, connect)}, SETTINGS, shards=SHARDS)
    async with closing(own), while_running(dispatcher):
        sending = [asyncio.create_task(obey(store, cam, done)) for cam in (light, heavy)]
        try:
            await until(asked_by_weight)
            assert Control.parse(await store.call("GET", light.keys.control)).level == 1
            assert 0 < await store.call("PTTL", heavy.keys.control) <= 5000
            await until(demand_is_whole)
        finally:
            done.set()
            await asyncio.gather(*sending)
    await until(expired)


async def obey_send(store: Store, cam: MaskCamera, stop: asyncio.Event) -> None:
    """Send what the record asks for, each frame with a context, and say that masks can be made."""
    while not stop.is_set():
        record = await store.call("GET", cam.keys.control)
        asked = None if record is None else Control.parse(record).send
        cam.contexts.clear()
        frame = cam.mask() if asked is Sends.MASKS else cam.features(cam.packet())
        packet = frame.to_bytes()
        await store.call("XADD", cam.keys.features, "*", PACKET_FIELD, packet, ABLE_FIELD, ABLE_TO_MAKE_MASKS)
        await asyncio.sleep(1 / WANTED_PER_S)


async def test_cameras_that_can_are_asked_for_masks_before_anybody_is_asked_for_fewer_frames(
    server: LocalRedis, masking: Bundle, masker: MakeMaskCamera, store: Store
) -> None:
    cams = [masker("one"), masker("two")]

    async def asked_for_masks() -> bool:
        return Sends.MASKS in (await records())[0]

    async def records() -> tuple[list[Sends], list[float]]:
        stored = [await store.call("GET", cam.keys.control) for cam in cams]
        found = [Control.parse(data) for data in stored if data is not None]
        return [each.send for each in found if each.send], [each.frames_per_s for each in found if each.frames_per_s]

    async def demand_is_whole() -> bool:
        return dispatcher.metrics.asked_for_masks._value.get() >= 1 and (
            await demand_reported(store) > 1.2 * CAPACITY_PER_S
        )

    async def connect() -> Connected:
        return Connected(SlowDecoder(), Meter())

    own, done = Store.connect(server.url), asyncio.Event()
    dispatcher = await Dispatcher.create(own, {masking.id: (masking, connect)}, SETTINGS, shards=SHARDS)
    async with closing(own), while_running(dispatcher):
        sending = [asyncio.create_task(obey_send(store, cam, done)) for cam in cams]
        try:
            await until(asked_for_masks)
            assert (await records())[1] == []
            await until(demand_is_whole)
        finally:
            done.set()
            await asyncio.gather(*sending)
