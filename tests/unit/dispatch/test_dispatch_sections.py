"""A camera chooses what its masks look like: what they cost others has a bound, by bytes before a pixel is decoded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import current_thread, main_thread

import numpy as np
import pytest
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_labels, encode_labels, label_digest
from narrows.contract.errors import MaskTooLarge
from narrows.contract.outputs.labels.scaling import DIVISORS, divided_size
from narrows.contract.wire.frame_packet import FrameHead, FramePacket, LabelMap, PacketContext, Section, SectionLayout
from orchestrator.dispatch.label_maps import decode_mask
from orchestrator.dispatch.sections import CodedMask, contents_of
from orchestrator.dispatch.workers import Workers

BUNDLE = Bundle.open(Path(__file__).parents[3] / "bundles" / "demo")
TABLES = BUNDLE.label_tables
assert TABLES is not None
MANY = len(BUNDLE.manifest.outputs[0].classes)
HEIGHT, WIDTH = BUNDLE.manifest.outputs[0].shape


def noise(share: float, divisor: int = 1) -> NDArray[np.uint8]:
    """A mask in which so many pixels have a label of their own."""
    rng, shape = np.random.default_rng(1), divided_size(HEIGHT, WIDTH, divisor)
    return np.where(rng.random(shape) < share, rng.integers(0, MANY, shape), 0).astype(np.uint8)


def packet(labels: NDArray[np.uint8]) -> FramePacket:
    assert TABLES is not None
    payload = encode_labels(labels, MANY, TABLES)
    layout = SectionLayout(LabelMap(labels.shape[0], labels.shape[1], MANY, TABLES.id))
    context = PacketContext(BUNDLE.id, 1, 0, 0, (layout,))
    return FramePacket(FrameHead(context, 0, 0), (Section(label_digest(labels) & 0xFFFFFF, payload),))


def mask_of(labels: NDArray[np.uint8]) -> CodedMask:
    mask = contents_of(packet(labels), BUNDLE).mask
    assert mask is not None
    return mask


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_mask_of_noise_is_refused_undecoded_for_redis_would_keep_hundreds_of_it(share: float) -> None:
    with pytest.raises(MaskTooLarge, match=f"a mask of .* bytes; at most {HEIGHT * WIDTH // 8}") as refused:
        contents_of(packet(noise(share)), BUNDLE)
    assert refused.value.reason == "mask_too_large"


@pytest.mark.parametrize("divisor", DIVISORS[1:])
def test_a_small_mask_may_be_as_ragged_as_its_camera_sees_it(divisor: int) -> None:
    assert mask_of(noise(1.0, max(divisor, 4))).divisor == max(divisor, 4)


@pytest.mark.parametrize(("share", "beside"), [(0.0005, False), (0.05, True)])
async def test_a_mask_that_takes_long_is_decoded_beside_the_event_loop(
    share: float, *, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[bool] = []

    def noted(*given: object) -> NDArray[np.uint8]:
        where.append(current_thread() is not main_thread())
        return decode_labels(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("orchestrator.dispatch.label_maps.decode_labels", noted)
    labels = noise(share)
    with ThreadPoolExecutor(1) as pool:
        found = await decode_mask(mask_of(labels), Workers(pool))
    assert where == [beside]
    np.testing.assert_array_equal(found.labels, labels)
