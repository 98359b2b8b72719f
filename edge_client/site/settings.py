"""What the site allows: a page of its own (``narrows edge --site-page``), stills for the cloud (``--stills``)."""

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
        stills_per_hour: how many still pictures operators in the cloud may have; 0: no picture leaves the site.
    """

    page: str | None = None
    token: str | None = field(default=None, repr=False)
    stills_per_hour: int = 0

    def check(self, *, prompts: bool, sealed: bool = False) -> None:
        """Refuse what shows pictures to strangers, or is of no use.

        Args:
            prompts: there is a network.
            sealed: packets are.

        Raises:
            ServiceError: no token, one that can be guessed, or a wrong address.
            ConfigError: a token without a page; a page or stills without a network; stills beside sealed packets.
        """
        if self.stills_per_hour and not prompts:
            raise ConfigError("--stills is for pointing at things: give --prompts a network too")
        if self.stills_per_hour and sealed:
            raise ConfigError(
                "--stills sends a picture that whoever reads Redis can open, and --key-file says that nobody may: "
                "leave one of them out"
            )
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
