"""Sealing packets: confidential between a camera and the dispatchers, and authentic, stream by stream.

::

    root (cloud) ── HKDF, stream and key id ──► camera key (one camera's file)
                                                    │
    packet, open ── nonce = epoch ‖ sequence ──► ChaCha20-Poly1305 ──► packet, sealed
                                   header as associated data

Specified in ``docs/wire-format.md``, section 2; what it defends, and what not, in ``docs/security.md``.
"""

from narrows.contract.seal.camera_key import CameraKey
from narrows.contract.seal.keyring import Keyring, Root
from narrows.contract.seal.suite import SUITE, open_frame, open_packet, seal_frame, seal_packet

__all__ = ["SUITE", "CameraKey", "Keyring", "Root", "open_frame", "open_packet", "seal_frame", "seal_packet"]
