"""Does the camera give pictures, and does the encoder turn them into packets?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Timer

import numpy as np
from numpy.typing import NDArray

from edge_client.capture.camera_watch import is_dark
from edge_client.capture.sources import CameraFrame, open_source
from edge_client.encode.open import default_level, open_encoder
from edge_client.encode.writing import written_alone
from edge_client.settings import EdgeSettings
from narrows.contract.bundle import AnyBundle, open_bundle
from narrows.contract.errors import BundleError, EncoderError, SourceError
from narrows.contract.wire import FrameIdentity
from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.redact import redact

_PICTURE_S = 15.0
_RUNS = 5
Picture = NDArray[np.uint8]


def check_camera(settings: EdgeSettings) -> tuple[Finding, Picture | None]:
    """A picture, its size and its brightness."""
    try:
        frame = _one_frame(settings)
    except SourceError as error:
        return fail("camera", str(error), "check --source, cable, address and password"), None
    source = redact(settings.source)
    if frame is None:
        return fail(
            "camera", f"no picture from {source} in {_PICTURE_S:.0f} s", "is it on, and the address right?"
        ), None
    picture = frame.picture
    percent = round(float(picture.mean()) / 255 * 100)
    detail = f"{picture.shape[1]}x{picture.shape[0]}, brightness {percent} %"
    if is_dark(picture):
        return warn("camera", f"{detail}: black", "is the lens covered, or the night dark?"), picture
    return ok("camera", detail), picture


def check_bundle(folder: Path) -> tuple[Finding, AnyBundle | None]:
    """The encoder's folder, whole and unaltered."""
    try:
        bundle = open_bundle(folder)
    except BundleError as error:
        return fail("bundle", str(error), "copy the bundle's folder again, whole"), None
    return ok("bundle", f"{bundle.manifest.name} {bundle.manifest.version}, id {bundle.hex_id}"), bundle


def check_encoder(settings: EdgeSettings, bundle: AnyBundle, picture: Picture | None) -> Iterator[Finding]:
    """How long a frame takes, and how large it becomes."""
    size = bundle.manifest.input
    shown = np.zeros((size.height, size.width, 3), np.uint8) if picture is None else picture
    try:
        encoder, coder = open_encoder(bundle, settings.threads)
    except EncoderError as error:
        yield fail("encoder", str(error), "install narrows[edge], or copy the bundle again")
        return
    level = default_level(bundle) if settings.level is None else settings.level
    if level >= len(bundle.manifest.levels):
        yield fail("encoder", f"the bundle has no level {level}", f"--level 0 to {len(bundle.manifest.levels) - 1}")
        return
    times_s, size_bytes = [], 0
    for _ in range(_RUNS):
        begun_s = time.perf_counter()
        latent = encoder.latent(encoder.fit(shown))
        coded = coder.packet(latent, level, FrameIdentity(1, 0), 0)
        times_s.append(time.perf_counter() - begun_s)
        size_bytes = len(written_alone(coded))
    frame_s = float(np.median(times_s))
    detail = (
        f"{frame_s * 1e3:.0f} ms a frame, so {1 / frame_s:.1f} frames/s at most; {size_bytes} bytes at level {level}"
    )
    if frame_s * settings.frames_per_s > 1:
        yield warn(
            "encoder", detail, f"--fps {settings.frames_per_s:g} is more than it can: lower it, or raise --threads"
        )
    else:
        yield ok("encoder", detail)


def _one_frame(settings: EdgeSettings) -> CameraFrame | None:
    stop = Event()
    timer = Timer(_PICTURE_S, stop.set)
    timer.start()
    try:
        with closing(open_source(settings.source, loop=False, stop=stop)) as source:
            return source.read()
    finally:
        timer.cancel()
