"""``narrows edge --source X --preview OUT`` writes the first picture as the encoder gets it, and ends."""

from __future__ import annotations

import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_client.capture.sources import open_source
from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.wire import FrameIdentity
from narrows.models.evaluation.in_process import InProcessDecoder
from narrows.runtime.pictures import read_picture

av = pytest.importorskip("av", reason="needs the extra: pip install 'narrows[video]'")
WHAT_A_QUARTER_TURN_STORES = 6


def preview(*options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "narrows.cli", "edge", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def turned(tmp_path: Path, samples: Path) -> Path:
    """A sample as a camera on its side stores it, and its EXIF says so."""
    upright = Image.fromarray(read_picture(min(samples.glob("*.jpg"))))
    exif = Image.Exif()
    exif[0x0112] = WHAT_A_QUARTER_TURN_STORES
    (tmp_path / "turned").mkdir()
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned" / "a.jpg", quality=95, exif=exif)
    return tmp_path / "turned"


def test_the_first_picture_is_written_upright_at_the_bundles_size(tmp_path: Path, turned: Path, bundle: Bundle) -> None:
    out = tmp_path / "first.png"
    done = preview("--source", turned, "--preview", out, "--bundle", bundle.folder)
    assert done.returncode == 0, done.stderr
    size = bundle.manifest.input
    assert f"upright 480x360, scaled to {size.width}x{size.height}" in done.stdout
    assert read_picture(out).shape == (size.height, size.width, 3)


def test_without_a_bundle_it_keeps_its_size(tmp_path: Path, turned: Path) -> None:
    done = preview("--source", turned, f"--preview={tmp_path / 'first.png'}")
    assert done.returncode == 0, done.stderr
    assert read_picture(tmp_path / "first.png").shape == (360, 480, 3)


def test_a_source_without_pictures_and_a_file_that_cannot_be_written_are_named(tmp_path: Path, turned: Path) -> None:
    done = preview("--source", tmp_path / "absent", "--preview", tmp_path / "first.png")
    assert (done.returncode, "is not there" in done.stderr) == (1, True)
    for out in (tmp_path / "no" / "first.png", tmp_path / "first.unknown"):
        done = preview("--source", turned, "--preview", out)
        assert (done.returncode, "cannot be written" in done.stderr) == (1, True)
        assert "Traceback" not in done.stderr


def test_without_preview_the_other_options_are_asked_for_as_ever(turned: Path) -> None:
    done = preview("--source", turned)
    assert (done.returncode, "Missing option" in done.stderr) == (2, True)


def masks(sources: list[str], bundle: Bundle) -> list[NDArray[np.uint8]]:
    """The mask of each source's first picture, through encoder, coder and decoder."""
    encoder, coder = OnnxEncoder(bundle), FrameCoder(bundle, key_period_s=0)
    packets = []
    for number, text in enumerate(sources):
        with closing(open_source(text, loop=False, stop=Event())) as source:
            frame = source.read()
        assert frame is not None
        latent = encoder.latent(encoder.fit(frame.picture))
        packets.append(coder.packet(latent, 0, FrameIdentity(1, number), 0).to_bytes())
    return list(InProcessDecoder(bundle)(packets))


def turned_video(folder: Path, upright: NDArray[np.uint8]) -> Path:
    """The picture as a phone held upright films it: rows and columns exchanged, and a display matrix that says so.

    PyAV writes no such matrix, so the one that an MP4 file's track header (ISO/IEC 14496-12, 8.3.2) has is replaced.
    """
    path = folder / "turned.mp4"
    stored = np.ascontiguousarray(np.rot90(upright))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "4"})
        stream.width, stream.height, stream.pix_fmt = stored.shape[1], stored.shape[0], "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16  # behind version, times, ids, layer and volume
    one = 1 << 16
    assert struct.unpack_from(">9i", data, at) == (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, at, 0, one, 0, -one, 0, 0, stored.shape[0] * one, 0, 1 << 30)
    path.write_bytes(data)
    return path


def test_masks_of_what_was_held_otherwise_or_stored_deeper_agree_with_the_upright_ones(
    tmp_path: Path, samples: Path, bundle: Bundle
) -> None:
    picture = read_picture(min(samples.glob("*.jpg")))
    upright, grey = Image.fromarray(picture), Image.fromarray(picture).convert("L")
    exif = Image.Exif()
    exif[0x0112] = WHAT_A_QUARTER_TURN_STORES
    upright.save(tmp_path / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", quality=98, subsampling=0, exif=exif)
    grey.save(tmp_path / "grey.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    names = ("upright.png", "turned.jpg", turned_video(tmp_path, picture).name, "grey.png", "grey16.png")
    truth, photo, film, in_grey, in_grey16 = masks([str(tmp_path / name) for name in names], bundle)
    assert (photo == truth).mean() >= 0.97
    assert (film == truth).mean() >= 0.97
    assert (in_grey16 == in_grey).mean() == 1.0
