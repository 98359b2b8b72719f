"""What every page for people has in common, the cloud's and a camera's: its guard, its looks, pointing at things.

No web framework: the cloud serves pages by aiohttp, a camera by the standard library.
"""

from narrows.runtime.page.files import StaticFile, shared_files, static_files
from narrows.runtime.page.guard import COOKIE, COOKIE_AGE_S, ENTER, PAGE_HEADERS, PageGuard, Presented

__all__ = [
    "COOKIE",
    "COOKIE_AGE_S",
    "ENTER",
    "PAGE_HEADERS",
    "PageGuard",
    "Presented",
    "StaticFile",
    "shared_files",
    "static_files",
]
