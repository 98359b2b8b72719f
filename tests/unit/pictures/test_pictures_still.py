"""A still picture comes out as a viewer shows it, or is refused by name."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from narrows.contract.errors import PictureError
from narrows.runtime.pictures import read_picture
from tests.unit.pictures.raw_png import png

HEIGHT, WIDTH = 24, 40
TURNED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
"""How a camera that is held so stores an upright scene; tag 6 asks the viewer for a quarter turn clockwise."""


def scene() -> NDArray[np.uint8]:
    """No turn and no mirror image of it equals it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([rows * 10, columns * 6, np.where(rows < 8, 255, columns)], axis=-1).astype(np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("tag", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_each_way_to_hold_a_camera_comes_out_upright(tag: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    stored = Image.fromarray(np.ascontiguousarray(TURNED[tag](scene())))
    data = saved(stored, kind, exif=exif, lossless=True)
    assert np.array_equal(read_picture(data), scene())


@pytest.mark.parametrize("tag", TURNED)
def test_a_jpeg_of_each_orientation_is_the_upright_one(tag: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / "shot.jpg"
    Image.fromarray(np.ascontiguousarray(TURNED[tag](scene()))).save(path, quality=100, subsampling=0, exif=exif)
    assert np.abs(read_picture(path).astype(int) - scene()).max() <= 8


@pytest.mark.parametrize("block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"nonsense"])
def test_an_exif_block_that_cannot_be_read_turns_nothing(block: bytes) -> None:
    data = saved(Image.fromarray(scene()), "JPEG", quality=100, subsampling=0, exif=block)
    assert read_picture(data).shape == (HEIGHT, WIDTH, 3)


def test_an_orientation_that_exif_does_not_know_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert np.array_equal(read_picture(saved(Image.fromarray(scene()), exif=exif)), scene())


def test_sixteen_bit_grey_is_the_same_grey_in_eight() -> None:
    grey = scene()[..., 1]
    wide = saved(Image.fromarray(grey.astype(np.uint16) * 257))
    assert np.array_equal(read_picture(wide), np.repeat(grey[..., np.newaxis], 3, axis=2))


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_is_the_same_colour_in_eight(channels: int) -> None:
    wide = np.dstack([scene(), np.full((HEIGHT, WIDTH), 255, np.uint8)]).astype(np.uint16)[..., :channels] * 257
    assert np.array_equal(read_picture(png(wide, bits=16)), scene())


def test_sixteen_bit_grey_with_an_opaque_alpha_channel_is_the_same_grey() -> None:
    grey = scene()[..., 1].astype(np.uint16) * 257
    wide = np.dstack([grey, np.full_like(grey, 65535)])
    assert np.array_equal(read_picture(png(wide, bits=16))[..., 0], scene()[..., 1])


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_every_other_mode_is_shown_as_it_is(mode: str) -> None:
    grey = np.where(scene()[..., 1] > 90, 255, 0).astype(np.uint8)
    data = saved(Image.fromarray(grey).convert(mode))
    assert np.array_equal(read_picture(data), np.repeat(grey[..., np.newaxis], 3, axis=2))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_a_transparent_picture_is_refused_for_nothing_is_behind_it(mode: str) -> None:
    image = Image.fromarray(scene()).convert("RGBA")
    image.putalpha(Image.fromarray(np.where(scene()[..., 2] > 200, 255, 120).astype(np.uint8)))
    data = saved(image.convert(mode) if mode != "PA" else image.quantize(16))
    with pytest.raises(PictureError, match=r"front\.png: some of it is transparent"):
        read_picture(data, "front.png")


@pytest.mark.parametrize("deep", [False, True])
def test_a_colour_that_png_calls_transparent_is_refused_where_it_occurs(*, deep: bool) -> None:
    grey = np.full((4, 4), 7, np.uint16 if deep else np.uint8)
    bits = 16 if deep else 8
    with pytest.raises(PictureError, match="transparent"):
        read_picture(png(grey[..., np.newaxis], bits=bits, clear=7))
    assert read_picture(png(grey[..., np.newaxis], bits=bits, clear=9)).shape == (4, 4, 3)


def test_cmyk_without_a_profile_is_refused() -> None:
    with pytest.raises(PictureError, match=r"print\.jpg: CMYK"):
        read_picture(saved(Image.fromarray(scene()).convert("CMYK"), "JPEG"), "print.jpg")


def linear_profile() -> bytes:
    """sRGB's primaries with another tone curve, as a profile that a viewer must follow."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.index(b"para")
    profile[at + 12 : at + 16] = (1 << 16).to_bytes(4, "big")  # gamma 1.0 instead of 2.4
    return bytes(profile)


def test_an_icc_profile_is_followed() -> None:
    profile = linear_profile()
    grey = np.full((8, 8, 3), 128, np.uint8)
    shown = read_picture(saved(Image.fromarray(grey), icc_profile=profile))
    assert abs(int(shown[0, 0, 0]) - 128) > 20


def test_srgbs_own_profile_changes_no_pixel_and_a_broken_one_is_passed_over() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"not a profile", srgb[:60]):
        assert np.array_equal(read_picture(saved(Image.fromarray(scene()), icc_profile=profile)), scene())


def test_an_animation_is_refused() -> None:
    pictures = [Image.fromarray(np.roll(scene(), each, axis=1)) for each in range(3)]
    for kind in ("WEBP", "PNG"):
        data = saved(pictures[0], kind, save_all=True, append_images=pictures[1:], lossless=True)
        with pytest.raises(PictureError, match="animation of 3"):
            read_picture(data)


def test_a_picture_that_was_cut_short_is_refused() -> None:
    for kind in ("JPEG", "PNG", "WEBP", "BMP"):
        data = saved(Image.fromarray(scene()), kind)
        with pytest.raises(PictureError, match=r"cut.* cannot be read as a picture|cut is no picture"):
            read_picture(data[: len(data) * 2 // 3], "cut")


@pytest.mark.parametrize("side", [10_000, 20_000])  # beyond Pillow's bound, and beyond twice that
def test_a_picture_that_would_fill_the_memory_is_refused_before_it_does(side: int) -> None:
    bomb = saved(Image.new("1", (side, side)))
    assert len(bomb) < 100_000
    with pytest.raises(PictureError, match="more than 89,478,485 pixels"):
        read_picture(bomb, "bomb.png")


def test_what_is_no_picture_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"absent\.jpg is missing"):
        read_picture(tmp_path / "absent.jpg")
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"notes\.png is no picture of a kind that is read"):
        read_picture(tmp_path / "notes.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("folder", "pipe"):  # nobody writes to the pipe: whoever opened it would wait
        with pytest.raises(PictureError, match=rf"{name}\.png is no file"):
            read_picture(tmp_path / f"{name}.png")


SOUND = [
    saved(Image.fromarray(scene()), "JPEG"),
    saved(Image.fromarray(scene()), "PNG", icc_profile=linear_profile()),
    saved(Image.fromarray(scene()), "WEBP"),
    saved(Image.fromarray(scene()).quantize(8), "BMP"),
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SOUND), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8))
def test_whatever_the_bytes_there_is_a_picture_or_a_named_refusal(
    sound: bytes, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(sound)
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        picture = read_picture(bytes(data))
    except PictureError:
        return
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
