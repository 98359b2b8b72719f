"""A camera that sends what it outlines and nothing else: no street network is run, nor loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_client.encode.objects_alone import NoEncoder, ObjectsCoder
from edge_client.encode.writing import PacketWriter, Written
from edge_client.masks.mode import MaskSettings, SendMode
from edge_client.masks.open import check_masks
from edge_client.prompts.settings import PromptSettings
from edge_client.prompts.tracker import PromptTracker
from edge_client.settings import EdgeSettings
from narrows.contract.errors import ConfigError
from narrows.contract.outputs.objects import Objects as Outlined
from narrows.contract.records.prompts import PromptList
from narrows.contract.wire import FrameIdentity
from narrows.contract.wire.frame_packet import Envelope, Objects
from narrows.runtime.prompting.segmenter import PromptSegmenter
from tests.unit.edge.test_edge_prompts import HEIGHT, SIZE, WIDTH, Picture, box, scene

BUNDLE_ID, NETWORK = 0x1234, 0xABC


class Camera:
    """Its packets, one after the other; the network outlines what is bright."""

    def __init__(self) -> None:
        segmenter = PromptSegmenter(lambda inputs: inputs[0].astype(np.float32) - 127.5, SIZE)
        self.stage = PromptTracker(segmenter, NETWORK, 0.5, lambda: 0.0, alone=True)
        self.writer, self.coder = PacketWriter(None, lambda: 2), ObjectsCoder(BUNDLE_ID)
        self.sequence, self.asked = 0, PromptList()

    def sends(self, picture: Picture) -> Written:
        identity, capture_ms = FrameIdentity(7, self.sequence), 1000 + self.sequence
        self.sequence += 1
        objects = self.stage.frame(picture, 2, self.asked, 0.0, 0.1).objects
        begin = self.writer.wants_key(identity, capture_ms, WIDTH, HEIGHT, objects)
        latent = NoEncoder().latent(NoEncoder().fit(picture))
        return self.writer.write(self.coder.packet(latent, 0, identity, capture_ms, key_wanted=begin), begin=begin)


def test_a_frame_is_its_objects_and_the_second_one_needs_the_firsts_context() -> None:
    camera = Camera()
    camera.asked = PromptList(3, (box(100, 80, 20),))
    first, second = camera.sends(scene((100, 80, 20))), camera.sends(scene((104, 80, 20)))
    assert (first.depends, second.depends) == (False, True)
    assert len(second.data) < 120
    context = Envelope.parse(first.data).context
    assert context is not None
    assert [layout.content for layout in context.sections] == [Objects(NETWORK)]
    assert (context.bundle_id, context.source_width, context.source_height) == (BUNDLE_ID, WIDTH, HEIGHT)


def test_a_frame_in_which_nothing_is_pointed_at_says_so() -> None:
    objects = (
        PromptTracker(
            PromptSegmenter(lambda inputs: inputs[0].astype(np.float32), SIZE), NETWORK, 0.5, lambda: 0.0, alone=True
        )
        .frame(scene(), 2, PromptList(), 0.0, 0.1)
        .objects
    )
    assert objects is not None
    assert Outlined.parse(objects.section.payload) == Outlined(WIDTH, HEIGHT, SIZE, ())


@pytest.mark.parametrize(
    ("masks", "prompts", "packet_format", "told"),
    [
        (MaskSettings(SendMode.OBJECTS), PromptSettings(), None, "--prompts"),
        (MaskSettings(SendMode.OBJECTS, local="/run/m"), PromptSettings(Path("n")), None, "--local-masks"),
        (MaskSettings(SendMode.OBJECTS), PromptSettings(Path("n")), 1, "--send objects needs packet format 2"),
        (MaskSettings(SendMode.OBJECTS, audit_share=3), PromptSettings(Path("n")), None, "--audit-share"),
    ],
    ids=["no network", "local masks", "format 1", "audits"],
)
def test_what_contradicts_objects_alone_is_refused_by_name(
    masks: MaskSettings, prompts: PromptSettings, packet_format: int | None, told: str
) -> None:
    settings = EdgeSettings(
        "x", "cam-1", "redis://h", Path(), Path(), masks=masks, prompts=prompts, packet_format=packet_format
    )
    with pytest.raises(ConfigError, match=told):
        check_masks(settings)
    assert not MaskSettings(SendMode.OBJECTS).wanted
