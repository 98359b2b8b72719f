"""What the operator says of the site's page: ``narrows edge --site-page``."""

from __future__ import annotations

from dataclasses import dataclass, field

from narrows.contract.errors import ConfigError, ServiceError
from narrows.runtime.listening import check_exposure

PAGE_OPTION, TOKEN_OPTION = "--site-page", "--site-token or NARROWS_EDGE_SITE_TOKEN"


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """Whether this camera shows its picture on its own site, and to whom.

    Attributes:
        page: ``HOST:PORT``; ``None``: nowhere.
        token: what whoever looks and points must know, on loopback too: it is a camera's picture.
    """

    page: str | None = None
    token: str | None = field(default=None, repr=False)

    def check(self, *, prompts: bool) -> None:
        """Refuse what shows pictures to strangers, or a page that can do nothing. ``prompts``: there is a network.

        Raises:
            ServiceError: no token, one that can be guessed, or a wrong address.
            ConfigError: a token without a page, or a page without a network.
        """
        if self.page is None:
            if self.token is not None:
                raise ConfigError("--site-token is of --site-page: say where to serve it, too")
            return
        check_exposure(self.page, self.token, PAGE_OPTION, TOKEN_OPTION)
        if self.token is None:
            raise ServiceError(
                f"{PAGE_OPTION} shows the camera's picture, so a token is needed, on this machine too: give "
                f"{TOKEN_OPTION}, as file:PATH of a file with, for example, `openssl rand -hex 16`"
            )
        if not prompts:
            raise ConfigError("--site-page is for pointing at things: give --prompts a network too")
