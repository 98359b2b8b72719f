"""What the operator says of prompts: ``narrows edge --prompts``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """How this camera outlines what is pointed at.

    Attributes:
        network: the int8 ONNX file of ``narrows promptable export``; ``None``: this camera runs no prompts.
        on_site: somebody on site may look at what is outlined, whatever may be sent.
        alone: nothing else is sent, so that a frame in which nothing is pointed at says so.
        share: of a frame's period that all prompts together may take. One is looked at in every frame all the same.
    """

    network: Path | None = None
    share: float = 0.25
    alone: bool = False
    on_site: bool = False
