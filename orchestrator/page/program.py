"""The page as a process: options in, served until told to end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp
import structlog

from narrows.client.painting import Legend
from narrows.runtime.http import serve
from narrows.runtime.run_program import run_program
from orchestrator.page.behind import Behind
from orchestrator.page.filmed import Filmed
from orchestrator.page.guard import Guard
from orchestrator.page.options import PageOptions
from orchestrator.page.prompting import Prompting
from orchestrator.page.redis_view import RedisView
from orchestrator.page.routes import make_page
from orchestrator.page.scrape import Scraper
from orchestrator.page.watch import Watch

_log = structlog.get_logger(__name__)


def run_page(options: PageOptions) -> None:
    """Serve until SIGTERM or SIGINT. Redis and dispatchers that are away are shown as such.

    Raises:
        BundleError, ServiceError: it cannot begin; the message says why.
    """
    options.check()
    run_program(lambda stop: _run(options, stop), options.log_level)


async def _run(options: PageOptions, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    legends = [Legend.of_bundle(folder) for folder in options.bundles]
    filmed = Filmed(options.frames_from) if options.frames_from else None
    view, prompting = RedisView(options.redis_url), Prompting(options.prompts_redis_url or options.redis_url)
    async with aiohttp.ClientSession() as session:
        scraper = Scraper(session, Behind(options.orchestrators), options.http_token)
        watch = Watch(scraper, view, legends, filmed)
        try:
            page = make_page(watch, Guard(options.token, options.operator_token), prompting)
            async with serve(page, options.listen, option="--listen") as address:
                _log.info("page_started", url=f"http://{address}/", token="needed" if options.token else "none")
                watching = loop.create_task(watch.run())
                stopped = loop.create_task(stop.wait())
                await asyncio.wait([watching, stopped], return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
        finally:
            watch.close()
            prompting.close()
            view.close()
