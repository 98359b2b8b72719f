"""``narrows page``: the live page in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.options import DEFAULT_REDIS_URL, HttpToken, RedisUrl

_DISPATCHER = "http://127.0.0.1:9464"


def page(
    *,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
    orchestrator: Annotated[
        list[str] | None,
        typer.Option(
            envvar="NARROWS_ORCHESTRATOR",
            help="A dispatcher's --http address; repeatable.",
            show_default=_DISPATCHER,
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option(envvar="NARROWS_PAGE_LISTEN", help="Where to serve; beyond loopback a token is needed.")
    ] = "127.0.0.1:8090",
    token: Annotated[
        str | None,
        typer.Option(envvar="NARROWS_PAGE_TOKEN", help="What visitors must know; better given by the variable."),
    ] = None,
    operator_token: Annotated[
        str | None,
        typer.Option(
            envvar="NARROWS_PAGE_OPERATOR_TOKEN",
            help="What operators must know, who may point at things (`narrows prompts`) on the page.",
            show_default="nobody may",
        ),
    ] = None,
    prompts_redis_url: Annotated[
        str | None,
        typer.Option(
            envvar="NARROWS_PAGE_PROMPTS_REDIS_URL",
            help="The same Redis as its user `prompter`, for what operators point at.",
            show_default="as --redis-url",
        ),
    ] = None,
    http_token: HttpToken = None,
    bundle: Annotated[
        list[Path] | None, typer.Option(help="Bundle folder: names and colours of its classes; repeatable.")
    ] = None,
    frames_from: Annotated[
        Path | None, typer.Option(help="A demo's folder of cameras: masks are laid over what they filmed.")
    ] = None,
    log_level: Annotated[str, typer.Option(envvar="NARROWS_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve one screen that answers whether the fleet is well, with each stream's latest mask, until SIGTERM or SIGINT.

    Example: narrows page --orchestrator http://127.0.0.1:9464 --bundle bundles/demo

    Example: NARROWS_PAGE_TOKEN=$(openssl rand -hex 16) narrows page --listen 0.0.0.0:8090
    """
    from orchestrator.page.options import PageOptions
    from orchestrator.page.program import run_page

    run_page(
        PageOptions(
            redis_url=redis_url,
            orchestrators=tuple(orchestrator or [_DISPATCHER]),
            listen=listen,
            token=token,
            operator_token=operator_token,
            prompts_redis_url=prompts_redis_url,
            http_token=http_token,
            bundles=tuple(bundle or ()),
            frames_from=frames_from,
            log_level=log_level,
        )
    )
