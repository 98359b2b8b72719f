"""What the program makes of the site's settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from edge_client.prompts.stage import PromptStage
from edge_client.site.prompts import SitePrompts
from edge_client.site.settings import PAGE_OPTION, SiteSettings
from edge_client.site.stills import SiteStills
from edge_client.site.view import SiteView
from edge_client.stats import Tally
from narrows.contract.outputs.objects import Objects
from narrows.contract.records.prompts import PromptAnswers, PromptList

_LOG = structlog.get_logger("edge.site")


@dataclass(frozen=True)
class Site:
    """The site as the frame loop and the uplink see it."""

    prompts: SitePrompts
    view: SiteView
    stage: PromptStage

    @property
    def able(self) -> bool:
        """Whether prompts are run."""
        return self.stage.able

    def answers(self) -> PromptAnswers:
        """The camera's answer, with what is pointed at here."""
        return self.prompts.told(self.stage.answers())

    def asked(self, cloud: PromptList) -> PromptList:
        """What is looked for."""
        return self.prompts.merged(cloud)

    def show(self, picture: NDArray[np.uint8], outlined: Objects | None, capture_ms: int) -> None:
        """A frame, for whoever looks."""
        self.view.show(picture, outlined, capture_ms)


def open_site(settings: SiteSettings, state: Path, stage: PromptStage) -> Site | None:
    """The site of the settings; ``None`` where there is no page. ``state``: the folder that outlives the program."""
    return None if settings.page is None else Site(SitePrompts(state), SiteView(), stage)


def open_stills(settings: SiteSettings, tally: Tally, *, able: bool) -> SiteStills | None:
    """What lets stills out, or says that none may leave; ``None`` at a camera that runs no prompts."""
    return SiteStills(settings.stills_per_hour, tally) if able else None


@contextmanager
def serving(
    settings: SiteSettings, stream: str, site: Site | None, stills: SiteStills | None, now_ms: Callable[[], float]
) -> Iterator[None]:
    """Serve its page, by the Redis server's clock, as well as that is known, while the context lasts.

    Raises:
        ServiceError: the address is wrong or taken.
    """
    if site is None or settings.page is None or settings.token is None:
        yield
        return
    from edge_client.http_server import served  # noqa: PLC0415 -- megabytes that few cameras need
    from edge_client.site.page import SitePage  # noqa: PLC0415

    site.prompts.now_ms = now_ms
    page = SitePage(stream, settings.token, site.prompts, site.view, site.stage.answers, stills)
    with served(page.answer, settings.page, PAGE_OPTION, changes=True) as address:
        _LOG.info("site_page_served", address=address)
        yield
