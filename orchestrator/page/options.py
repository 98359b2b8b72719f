"""What the page is asked to show, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import ServiceError
from narrows.runtime.listening import check_exposure


@dataclass(frozen=True, slots=True)
class PageOptions:
    """The options of ``narrows page``.

    Attributes:
        redis_url: the install's Redis.
        orchestrators: ``http://HOST:PORT`` of each dispatcher.
        listen: ``HOST:PORT``; port 0 takes a free one.
        token: what a visitor must know; not needed on a loopback address.
        operator_token: what an operator must know, who may point at things; ``None``: nobody may.
        prompts_redis_url: the same Redis as a user who may write prompts; ``None``: as ``redis_url`` says.
        http_token: what the dispatchers' metrics ask for.
        bundles: folders whose manifests name and colour the classes.
        frames_from: where a demo keeps what its cameras filmed; see :mod:`orchestrator.page.filmed`.
    """

    redis_url: str
    orchestrators: tuple[str, ...]
    listen: str = "127.0.0.1:8090"
    token: str | None = None
    operator_token: str | None = None
    prompts_redis_url: str | None = None
    http_token: str | None = None
    bundles: tuple[Path, ...] = ()
    frames_from: Path | None = None
    log_level: str = "info"

    def check(self) -> None:
        """Refuse what would let strangers in, or could not work.

        Raises:
            ServiceError: another address than loopback without a token, a token that can be guessed, a wrong address.
        """
        check_exposure(self.listen, self.token, "--listen", "--token or NARROWS_PAGE_TOKEN")
        if self.operator_token is not None:
            option = "--operator-token or NARROWS_PAGE_OPERATOR_TOKEN"
            check_exposure(self.listen, self.operator_token, "--listen", option)
            if self.operator_token == self.token:
                raise ServiceError(f"{option} is the visitors' token: take another, or all of them may point at things")
        for url in self.orchestrators:
            if not url.startswith(("http://", "https://")):
                raise ServiceError(f"--orchestrator {url!r}: http://HOST:PORT is expected, as in `orchestrate --http`")
