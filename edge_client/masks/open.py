"""The mask stage that the settings ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import structlog

from edge_client.masks.camera_decoder import OnnxCameraDecoder
from edge_client.masks.coding import MaskCoder
from edge_client.masks.local import open_local_masks
from edge_client.masks.mode import MaskSettings, SendMode
from edge_client.masks.stage import MaskStage
from edge_client.rate.governor import Governor
from edge_client.settings import EdgeSettings
from narrows.contract.bundle import AnyBundle, SplitBundle
from narrows.contract.errors import ConfigError
from narrows.contract.outputs.labels.scaling import DIVISORS

_LOG = structlog.get_logger("edge.masks")


@contextmanager
def open_masks(settings: EdgeSettings, bundle: AnyBundle, governor: Governor, level: int) -> Iterator[MaskStage | None]:
    """The stage, or ``None`` where features alone are sent and nobody on site wants masks.

    An automatic camera whose bundle has no camera decoder sends features, and says so.

    Raises:
        ConfigError: the settings contradict each other.
        BundleError, EncoderError: masks are asked for, and the bundle has no camera decoder that can be used.
        StateError: the place for local masks cannot be used.
    """
    masks = settings.masks
    check_masks(settings)
    if masks.send is SendMode.OBJECTS:
        yield None
        return
    if isinstance(bundle, SplitBundle):
        if masks.send is not SendMode.FEATURES or masks.local is not None:
            raise ConfigError("a split network's cameras make no masks: leave --send at features, --local-masks out")
        yield None
        return
    if masks.send is SendMode.AUTO and masks.local is None and not bundle.has_camera_decoder:
        _LOG.info("masks_impossible", reason="no_camera_decoder", bundle=bundle.hex_id)
        yield None
        return
    if not masks.wanted:
        yield None
        return
    with ExitStack() as exits:
        coder = MaskCoder(bundle, OnnxCameraDecoder(bundle, settings.threads), level, masks.scale)
        local = None
        if masks.local is not None:
            local = exits.enter_context(closing(open_local_masks(masks.local, settings.stream, bundle)))
        yield MaskStage(masks, coder, governor, len(bundle.outputs), local)


def check_masks(settings: EdgeSettings) -> None:
    """Whether the settings make sense together.

    Raises:
        ConfigError: they do not.
    """
    masks: MaskSettings = settings.masks
    if masks.send is SendMode.OBJECTS:
        _check_objects_alone(settings)
    if masks.scale not in DIVISORS:
        raise ConfigError(f"--mask-scale {masks.scale}: it is one of {', '.join(map(str, DIVISORS))}")
    if masks.send in {SendMode.MASKS, SendMode.OBJECTS} and settings.packet_format == 1:
        raise ConfigError(f"--send {masks.send} needs packet format 2: leave --packet-format at auto, or say 2")
    if masks.audit_share and masks.send not in {SendMode.MASKS, SendMode.AUTO}:
        raise ConfigError("--audit-share is of masks: say --send masks or --send auto too")


def _check_objects_alone(settings: EdgeSettings) -> None:
    if settings.prompts.network is None:
        raise ConfigError("--send objects sends what --prompts outlines: give it a network too")
    if settings.masks.local is not None:
        raise ConfigError("--send objects runs no street network, so there is no mask for --local-masks: leave one out")
