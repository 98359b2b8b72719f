"""Cameras that fall silent are counted by group, whoever reads them; what can be alerted on is there from the start."""

import time

from narrows.contract.errors import refusal_reasons
from narrows.contract.wire.keys import GROUP
from orchestrator.dispatch import Dispatcher, Store
from orchestrator.telemetry.faults import Cause
from tests.integration.dispatch.rig import SHARDS, Camera, MakeCamera, RuleDecoder, Start, until


def value(dispatcher: Dispatcher, name: str, **labels: str) -> float | None:
    return dispatcher.metrics.registry.get_sample_value(name, labels)


async def last_frame_was(cam: Camera, store: Store, ago_s: float) -> None:
    """A frame as Redis would have it by now, ended long since."""
    entry = f"{int((time.time() - ago_s) * 1000)}-0"
    await store.call("XADD", cam.keys.features, entry, "p", cam.packet().to_bytes())
    await cam.leave_pending()
    await store.call("XACK", cam.keys.features, GROUP, entry)
    await store.call("XDEL", cam.keys.features, entry)


async def test_a_camera_that_was_silent_before_this_dispatcher_came_is_silent_and_one_of_last_week_is_forgotten(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    minutes, week, sends = camera("minutes"), camera("week"), camera("sends")
    await minutes.settings(b'{"group": "gates"}')
    await last_frame_was(minutes, store, 300)
    await last_frame_was(week, store, 7 * 86400)
    async with dispatching() as dispatcher:
        await sends.frames(2)

        async def counted() -> bool:
            return value(dispatcher, "narrows_streams", group="default", state="live") == 1

        await until(counted)
        assert value(dispatcher, "narrows_streams", group="gates", state="silent") == 1
        assert value(dispatcher, "narrows_streams", group="gates", state="live") == 0
        assert value(dispatcher, "narrows_streams", group="default", state="silent") == 0


async def test_a_decoder_that_goes_is_seen_to_go(dispatching: Start, decoder: RuleDecoder) -> None:
    async with dispatching() as dispatcher:

        async def is_ready(ready: float) -> bool:
            return value(dispatcher, "narrows_decoder_ready", bundle=f"{0xFEED:016x}") == ready

        await until(lambda: is_ready(1))
        decoder.away = True
        await until(lambda: is_ready(0))


async def test_what_alerts_count_begins_at_nothing(dispatching: Start) -> None:
    async with dispatching() as dispatcher:
        assert value(dispatcher, "narrows_install_shards") == SHARDS
        for reason in refusal_reasons():
            assert value(dispatcher, "narrows_dead_letters_total", reason=reason) == 0
        for cause in Cause:
            assert value(dispatcher, "narrows_faults_total", cause=cause.value) == 0
