"""Whether a Triton server lets models be loaded by request: ``--model-control-mode=explicit``.

No API tells it. A server in another mode refuses every load and unload with the same words (Triton 2.51,
``src/core/server.cc``); one in this mode takes the unloading of a model that it does not have, and changes nothing.
"""

from __future__ import annotations

PROBE_MODEL = "narrows_control_probe"
REMEDY = "start it with --model-control-mode=explicit; until then dead instances are not replaced, nor instances scaled"
_REFUSED = "explicit model load / unload is not allowed"


def refuses_control(message: str) -> bool:
    """Whether an error's words say that the server is not in explicit mode."""
    return _REFUSED in message
