"""What a camera says of its prompts is kept once, however often it says something: Redis is not its to fill."""

from __future__ import annotations

from narrows.contract.records.still import STILL_MS
from narrows.contract.wire import StreamKeys
from orchestrator.dispatch import Store
from orchestrator.dispatch.prompt_answers import ROUNDS, PromptAnswerTrimmer
from tests.integration.dispatch.rig import SHARDS, MakeCamera, Start, until


async def test_answers_of_a_camera_that_sends_no_frames_are_trimmed_to_the_newest(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, keys = camera("well"), [StreamKeys.of(f"silent-{n}", SHARDS).prompt_state for n in range(8)]
    for key in keys:
        newest = [await store.call("XADD", key, "*", "p", b"x" * 10_000) for _ in range(5)][-1:]
        assert await store.call("XLEN", key) == 5

    async def trimmed() -> bool:
        return [await store.call("XLEN", key) for key in keys] == [1] * len(keys)

    async with dispatching():
        await cam.frames(2)
        await until(trimmed)
        await cam.ended(mask=2)
    assert [entry[0] for entry in await store.call("XRANGE", keys[-1], "-", "+")] == newest


async def test_only_the_shards_that_are_owned_are_trimmed_and_odd_keys_are_left_alone(store: Store) -> None:
    keys = ["narrows:{2}:prompt_state:a", "narrows:{3}:prompt_state:a", "narrows:{odd}:prompt_state:a"]
    keys += ["narrows:{2}:plan:a", "narrows:{3}:plan:a"]
    for key in keys:
        for _ in range(3):
            await store.call("XADD", key, "*", "p", b"x")
    await store.call("SET", "narrows:{2}:prompt_state:b", "no stream")
    await PromptAnswerTrimmer(store).trim({2})
    assert [await store.call("XLEN", key) for key in keys] == [1, 3, 3, 1, 3]
    assert await store.call("GET", "narrows:{2}:prompt_state:b") == b"no stream"


async def test_a_camera_that_said_too_much_is_looked_at_in_every_round_and_others_every_ten(store: Store) -> None:
    """Looked at every ten seconds alone, it had ten seconds to fill Redis, again and again."""
    loud, quiet = "narrows:{2}:prompt_state:loud", "narrows:{2}:prompt_state:quiet"
    trimmer = PromptAnswerTrimmer(store)

    async def said(key: str, entries: int = 3) -> None:
        for _ in range(entries):
            await store.call("XADD", key, "*", "p", b"x")

    async def kept() -> list[object]:
        return [await store.call("XLEN", key) for key in (loud, quiet)]

    await said(loud)
    await said(quiet, 1)
    await trimmer.trim({2})
    for _ in range(ROUNDS - 1):
        await said(loud)
        await said(quiet, 1)
        await trimmer.trim({2})
    assert await kept() == [1, ROUNDS]
    await trimmer.trim({2})
    assert await kept() == [1, 1]


async def test_a_still_whose_camera_went_away_is_dropped_and_a_fresh_one_stays(store: Store) -> None:
    old, fresh = "narrows:{2}:still:gone", "narrows:{2}:still:here"
    now_ms = int(await store.time_ms())
    for key, age_ms in ((old, 2 * STILL_MS + 1000), (fresh, STILL_MS)):
        await store.call("XADD", key, f"{now_ms - age_ms}-0", "p", b"x", "b", b"x")
    await PromptAnswerTrimmer(store).trim({2})
    assert [await store.call("XLEN", key) for key in (old, fresh)] == [0, 1]
