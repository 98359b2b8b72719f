"""Whether a section decoded to what its camera coded."""

from __future__ import annotations

from narrows.contract.errors import DigestMismatch
from narrows.contract.wire.frame_packet import Section


def check_digest(section: Section, digest: int, what: str) -> None:
    """Refuse what decoded to something else than was coded.

    Raises:
        DigestMismatch: it did.
    """
    if not section.is_digest(digest):
        digits, low = section.digest_bits // 4, digest & ((1 << section.digest_bits) - 1)
        raise DigestMismatch(f"{what} with digest {low:0{digits}x}; the camera coded {section.digest:0{digits}x}")
