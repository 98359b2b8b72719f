"""Everything that the command line and the environment may say, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge_client.masks.mode import MaskSettings
from edge_client.planning.settings import PlanSettings
from edge_client.prompts.settings import PromptSettings
from edge_client.site.settings import SiteSettings
from edge_client.spool.keep import Keep


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """How to run one camera.

    Attributes:
        source: a folder of pictures, a video file, ``/dev/videoN`` or a URL.
        frames_per_s: frame rate, at most.
        level: rate level of every frame, all of which are sent; ``None``: level and frame rate follow the link.
        max_age_s: packets that have waited longer are given up; 0 keeps all that ``queue`` holds.
        key_period_s: a packet that decodes alone is sent this often, predicted ones between; 0: only the former.
        frames: end after so many frames were sent; ``None`` goes on.
        loop: begin a folder or file anew at its end.
        state_folder: where the boot epoch is kept.
        maxlen: about how many packets Redis holds of this stream.
        queue: how many packets wait here while Redis is away.
        shards: overrides what the install record says.
        spool_mb: megabytes of disk below ``state_folder`` for what Redis does not take; 0: what does not fit ``queue``
            is dropped.
        spool_keep: what a full spool keeps.
        http: where metrics are served; ``None``: nowhere.
        http_token: what whoever asks for them must know; not needed on a loopback address.
        metrics_file: where they are written for node_exporter.
        alive: a file to touch as frames are sent.
        packet_format: 1 or 2, whoever reads it; ``None``: the newest that all dispatchers read, by the install record.
        masks: what is sent, and how masks are made here.
        prompts: the network that outlines what is pointed at, and how much time it may take.
        plan: what a camera with a split network strives for, where ``level`` is not fixed.
        site: whether this camera shows its picture on its own site, and to whom.
        key_file: what `narrows keys issue` wrote for this stream; ``None`` sends open packets.
    """

    source: str
    stream: str
    redis_url: str
    bundle: Path
    state_folder: Path
    frames_per_s: float = 10.0
    level: int | None = None
    key_period_s: float = 2.0
    frames: int | None = None
    loop: bool = False
    journal: Path | None = None
    threads: int = 1
    maxlen: int = 256
    queue: int = 64
    max_age_s: float = 0.6
    shards: int | None = None
    alive: Path | None = None
    key_file: Path | None = None
    packet_format: int | None = None
    spool_mb: float = 0.0
    spool_keep: Keep = Keep.NEWEST
    http: str | None = None
    http_token: str | None = field(default=None, repr=False)
    metrics_file: Path | None = None
    masks: MaskSettings = field(default_factory=MaskSettings)
    prompts: PromptSettings = field(default_factory=PromptSettings)
    plan: PlanSettings = field(default_factory=PlanSettings)
    site: SiteSettings = field(default_factory=SiteSettings)

    @property
    def keeps_all(self) -> bool:
        """Whether no packet is given up for its age."""
        return bool(self.spool_mb) or not self.max_age_s
