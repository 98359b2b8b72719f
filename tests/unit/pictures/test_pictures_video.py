"""A decoded frame comes out as a player shows it: turned, in its colours, or refused by name."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from narrows.contract.errors import PictureError
from narrows.runtime.pictures import frame_picture
from narrows.runtime.pictures.orientation import matrix_orientation

av = pytest.importorskip("av", reason="needs the extra: pip install 'narrows[video]'")
ONE = 1 << 16
SCENE = np.arange(2 * 3).reshape(2, 3).astype(np.uint8)
COLOURS = ((235, 64, 52), (52, 200, 80), (40, 60, 220), (128, 128, 128), (250, 250, 250), (5, 5, 5))
WEIGHTS = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}
"""Kr and Kb of ITU-R BT.709, BT.601 and BT.2020."""
CODES = {"bt709": 1, "bt601": 6, "bt2020": 9, "none": 2}
"""ITU-T H.273, table 4."""


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((ONE, 0, 0, ONE), SCENE),
        ((0, ONE, -ONE, 0), np.rot90(SCENE, -1)),  # as phones held upright write it: a quarter turn clockwise
        ((-ONE, 0, 0, -ONE), np.rot90(SCENE, 2)),
        ((0, -ONE, ONE, 0), np.rot90(SCENE)),
        ((-ONE, 0, 0, ONE), SCENE[:, ::-1]),
        ((ONE, 0, 0, -ONE), SCENE[::-1]),
        ((0, ONE, ONE, 0), SCENE.T),
        ((0, -ONE, -ONE, 0), np.rot90(SCENE, 2).T),
        ((3, ONE + 2, -ONE + 1, -4), np.rot90(SCENE, -1)),  # rounded by whoever wrote it
        ((0, 0, 0, 0), SCENE),
    ],
)
def test_a_display_matrix_of_right_angles_and_mirrors_is_followed(
    matrix: tuple[int, int, int, int], shown: NDArray[np.uint8]
) -> None:
    a, b, c, d = matrix
    packed = struct.pack("9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    assert np.array_equal(matrix_orientation(packed).upright(SCENE), shown)


@pytest.mark.parametrize("matrix", [(46341, 46341, -46341, 46341), (ONE, 0, 0, 0), (ONE, ONE, 0, ONE)])
def test_another_turn_is_refused(matrix: tuple[int, int, int, int]) -> None:
    a, b, c, d = matrix
    with pytest.raises(PictureError, match="something else than right angles"):
        matrix_orientation(struct.pack("9i", a, b, 0, c, d, 0, 0, 0, 1 << 30))
    with pytest.raises(PictureError, match="8 bytes instead of 36"):
        matrix_orientation(bytes(8))


def coded(matrix: str, *, full: bool, bits: int) -> NDArray[np.uint16]:
    """Y, Cb and Cr of each colour, by the Recommendations' own formulas."""
    red, green, blue = np.array(COLOURS, float).T / 255
    kr, kb = WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    planes = luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    scale = 1 << (bits - 8)
    if full:
        most = 256 * scale - 1
        values = [planes[0] * most, *(plane * most + 128 * scale for plane in planes[1:])]
    else:
        values = [(16 + 219 * planes[0]) * scale, *((128 + 224 * plane) * scale for plane in planes[1:])]
    return np.clip(np.rint(values), 0, 256 * scale - 1).astype(np.uint16)


def yuv_frame(matrix: str, tag: str, *, full: bool, bits: int) -> object:
    """A frame of one stripe a colour."""
    values = coded(matrix, full=full, bits=bits)
    frame = av.VideoFrame(16 * len(COLOURS), 16, "yuv444p" if bits == 8 else f"yuv444p{bits}le")
    for plane, stripes in zip(frame.planes, values, strict=True):
        row = np.repeat(stripes.astype(np.uint8 if bits == 8 else "<u2"), 16)
        line = row.tobytes().ljust(plane.line_size, b"\0")
        plane.update(line * plane.height)
    frame.colorspace, frame.color_range = CODES[tag], 2 if full else 1
    return frame


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_colours_follow_matrix_range_and_depth(matrix: str, *, full: bool, bits: int) -> None:
    picture = frame_picture(yuv_frame(matrix, matrix, full=full, bits=bits))  # type: ignore[arg-type]
    assert np.abs(picture[8, 8::16].astype(int) - np.array(COLOURS)).max() <= 3


def test_where_no_matrix_is_stated_bt601_is_meant() -> None:
    picture = frame_picture(yuv_frame("bt601", "none", full=False, bits=8))  # type: ignore[arg-type]
    assert np.abs(picture[8, 8::16].astype(int) - np.array(COLOURS)).max() <= 3


@pytest.mark.parametrize("kind", ["gray", "gray10le", "gray16le"])
def test_grey_video_is_grey(kind: str) -> None:
    wide = np.tile(np.linspace(0, 255, 32).astype(np.uint16), (16, 1))
    depth = {"gray": 1, "gray10le": 1023 / 255, "gray16le": 257}[kind]
    frame = av.VideoFrame(32, 16, kind)
    row = np.rint(wide[0] * depth).astype(np.uint8 if kind == "gray" else "<u2").tobytes()
    frame.planes[0].update(row.ljust(frame.planes[0].line_size, b"\0") * 16)
    frame.color_range = 2
    picture = frame_picture(frame)
    assert np.abs(picture[0].astype(int) - wide[0][:, np.newaxis]).max() <= 1


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused(transfer: int, name: str) -> None:
    frame = av.VideoFrame(16, 16, "yuv420p10le")
    frame.color_trc = transfer
    with pytest.raises(PictureError, match=f"high dynamic range, {name}"):
        frame_picture(frame)


def test_colours_that_nothing_converts_are_refused_not_a_crash() -> None:
    frame = av.VideoFrame(16, 16, "yuv444p")
    frame.colorspace = 8  # YCgCo
    with pytest.raises(PictureError, match=r"colours cannot be converted .*matrix 8"):
        frame_picture(frame)
