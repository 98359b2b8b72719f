"""Objects: any bytes are objects or a named error, a thing takes a few dozen, masks lie where they were looked at."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from narrows.contract.errors import RecordError
from narrows.contract.outputs.objects import MOST_PROMPTS, ObjectMask, Objects

I16 = st.integers(-(1 << 15), (1 << 15) - 1)
SIDE = 12


def disc(n: int, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:n, :n] + 0.5 - n / 2
    inside: NDArray[np.bool_] = rows**2 + columns**2 < radius**2
    return inside


def one(mask: NDArray[np.bool_] | None, x: int = 0, y: int = 0, side: int = 48, prompt: int = 1) -> ObjectMask:
    return ObjectMask(prompt, 7, x, y, side, mask)


@st.composite
def objects(draw: st.DrawFn) -> Objects:
    prompts = draw(st.lists(st.integers(1, 0xFFFF), max_size=4, unique=True))
    masks = tuple(
        ObjectMask(
            prompt,
            draw(st.integers(0, (1 << 32) - 1)),
            draw(I16),
            draw(I16),
            draw(st.integers(1, 0xFFFF)),
            draw(st.none() | arrays.arrays(np.bool_, (SIDE, SIDE))),
        )
        for prompt in prompts
    )
    return Objects(draw(st.integers(1, 16_384)), draw(st.integers(1, 16_384)), SIDE, masks)


@given(objects())
def test_objects_survive_their_bytes(there: Objects) -> None:
    back = Objects.parse(there.to_bytes())
    assert (back.width, back.height, back.side, back.digest()) == (there.width, there.height, SIDE, there.digest())
    for sent, read in zip(there.masks, back.masks, strict=True):
        assert (sent.prompt, sent.version, sent.x, sent.y, sent.side) == (
            read.prompt,
            read.version,
            read.x,
            read.y,
            read.side,
        )
        np.testing.assert_array_equal(sent.mask, read.mask)


@given(objects(), st.data())
def test_whatever_is_changed_objects_or_a_named_error(there: Objects, data: st.DataObject) -> None:
    packed = bytearray(there.to_bytes())
    packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    for changed in (bytes(packed), bytes(packed[:-1]), bytes(packed) + b"\0"):
        try:
            found = Objects.parse(changed)
        except RecordError:
            continue
        assert len(found.masks) <= MOST_PROMPTS


def test_a_thing_takes_a_few_dozen_bytes() -> None:
    packed = Objects(1920, 1080, 96, (one(disc(96, 30), 800, 300, 240),)).to_bytes()
    assert len(packed) < 60


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ((one(disc(SIDE, 3)), one(None)), "one prompt has two masks"),
        (tuple(one(None, prompt=number) for number in range(1, 18)), "17 objects"),
        ((one(None, prompt=0),), "prompt 0"),
        ((one(None, side=0),), "a window of 0"),
    ],
)
def test_objects_that_contradict_themselves_are_refused(masks: tuple[ObjectMask, ...], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Objects.parse(Objects(64, 48, SIDE, masks).to_bytes())


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (Objects(0, 48, SIDE, ()), "picture of 0 x 48"),
        (Objects(64, 0, SIDE, ()), "picture of 64 x 0"),
        (Objects(16_385, 48, SIDE, ()), "sides are 1 to 16384"),
        (Objects(64, 48, 0, ()), "masks of 0 pixels"),
        (Objects(64, 16_385, SIDE, ()), "sides are 1 to 16384"),
        (Objects(64, 48, 129, ()), "of 1 to 128"),
    ],
)
def test_sizes_beyond_the_limits_are_refused(objects: Objects, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Objects.parse(objects.to_bytes())


def test_a_field_that_does_not_fit_is_named_where_it_is_written() -> None:
    with pytest.raises(RecordError, match="out of its range"):
        Objects(64, 48, SIDE, (one(None, x=1 << 15),)).to_bytes()


def test_a_lost_thing_has_no_mask() -> None:
    packed = bytearray(Objects(64, 48, SIDE, (one(disc(SIDE, 3)),)).to_bytes())
    packed[6 + 6] = 1  # its state
    with pytest.raises(RecordError, match="a mask is there where it is not lost"):
        Objects.parse(bytes(packed))


def test_a_mask_of_another_length_than_it_says_is_refused() -> None:
    packed = bytearray(Objects(64, 48, SIDE, (one(disc(SIDE, 3)),)).to_bytes())
    struct.pack_into("<H", packed, 6 + 13, len(packed))
    with pytest.raises(RecordError, match="a window of 48"):
        Objects.parse(bytes(packed))


@pytest.mark.parametrize(("width", "height"), [(64, 48), (32, 24), (128, 96)])
def test_a_mask_lies_where_it_was_looked_at_whatever_the_size_of_the_picture(width: int, height: int) -> None:
    found = Objects(64, 48, SIDE, (one(np.ones((SIDE, SIDE), bool), 20, -6, 24),))
    whole = found.spread(found.masks[0], height, width)
    expected = np.zeros((height, width), bool)
    expected[: 18 * height // 48, 20 * width // 64 : 44 * width // 64] = True
    np.testing.assert_array_equal(whole, expected)
    assert not found.spread(one(None), height, width).any()
