"""A dispatcher that works in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.dispatch import Dispatcher


@asynccontextmanager
async def while_running(dispatcher: Dispatcher) -> AsyncIterator[Dispatcher]:
    """Run it until the block ends; then it finishes what is in flight and gives its shards back."""
    stop = asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stop))
    try:
        yield dispatcher
    finally:
        stop.set()
        await running
