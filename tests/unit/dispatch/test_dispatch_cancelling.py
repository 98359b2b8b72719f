"""Ending tasks for certain."""

import asyncio
from contextlib import suppress

from narrows.runtime.cancelling import cancel_all


async def _stubborn(swallow: int) -> None:
    for _ in range(swallow):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
    await asyncio.sleep(3600)


async def test_a_task_that_swallows_cancellations_is_ended_nevertheless() -> None:
    tasks = [asyncio.create_task(_stubborn(n)) for n in range(3)]
    await asyncio.sleep(0)
    await cancel_all(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_tasks_that_have_ended_are_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0, "done"))
    await task
    await cancel_all([task])
    assert task.result() == "done"
