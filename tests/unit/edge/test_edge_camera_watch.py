"""The states of a camera, judged from pictures and a fake clock."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_client.capture.camera_watch import BLACK_S, FROZEN_S, CameraState, CameraWatch, is_dark

Picture = NDArray[np.uint8]
FPS = 5


class Scene:
    """A camera of five frames a second under a clock of its own."""

    def __init__(self, *, live: bool = True) -> None:
        self.now_s = 0.0
        self.events: list[str] = []
        self.watch = CameraWatch(lambda: self.now_s, lambda event, _state: self.events.append(event), live=live)
        self.noise = np.random.default_rng(1)

    def show(self, picture: Picture, seconds: float) -> CameraState:
        for _ in range(int(seconds * FPS)):
            self.now_s += 1 / FPS
            self.watch.saw(picture.copy())
        return self.watch.state

    def show_noisy(self, picture: Picture, seconds: float, amplitude: int = 3) -> CameraState:
        for _ in range(int(seconds * FPS)):
            noise = self.noise.integers(0, amplitude, picture.shape, dtype=np.uint8)
            self.show(picture + noise, 1 / FPS)
        return self.watch.state

    def wait(self, seconds: float) -> CameraState:
        for _ in range(int(seconds * FPS)):
            self.now_s += 1 / FPS
            self.watch.waits()
        return self.watch.state


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def street() -> Picture:
    return np.random.default_rng(0).integers(0, 200, (96, 128, 3), dtype=np.uint8)


def test_a_camera_that_repeats_one_picture_for_long_is_frozen_until_a_pixel_changes(
    scene: Scene, street: Picture
) -> None:
    assert scene.show(street, FROZEN_S - 2) is CameraState.OK
    assert scene.show(street, 4) is CameraState.FROZEN
    changed = street.copy()
    changed[77, 3, 1] ^= 1
    assert scene.show(changed, 0.2) is CameraState.OK
    assert scene.events == ["frozen", "ok"]


def test_a_still_scene_is_not_frozen(scene: Scene, street: Picture) -> None:
    for _ in range(8):
        assert scene.show(street, FROZEN_S / 3) is CameraState.OK
        street[5, 9] ^= 1
    assert scene.events == []


def test_a_still_picture_from_a_folder_is_no_frozen_camera(street: Picture) -> None:
    scene = Scene(live=False)
    assert scene.show(street, 3 * FROZEN_S) is CameraState.OK


def test_few_frames_are_not_enough_to_call_a_camera_frozen(scene: Scene, street: Picture) -> None:
    for _ in range(5):
        scene.now_s += FROZEN_S
        scene.watch.saw(street.copy())
    assert scene.watch.state is CameraState.OK


def test_a_covered_lens_is_black_although_it_is_noisy(scene: Scene, street: Picture) -> None:
    scene.show(street, 1)
    dark = np.full_like(street, 4)
    assert scene.show_noisy(dark, BLACK_S - 1, amplitude=12) is CameraState.OK
    assert scene.show_noisy(dark, 2, amplitude=12) is CameraState.BLACK
    assert scene.show_noisy(street, 0.2) is CameraState.OK
    assert scene.events == ["black", "ok"]


def test_a_street_at_night_with_lamps_is_not_black(street: Picture) -> None:
    night = np.full_like(street, 6)
    assert is_dark(night)
    night[:16, :32] = 180
    assert not is_dark(night)


def test_a_camera_that_gives_nothing_is_away_and_nothing_else(scene: Scene, street: Picture) -> None:
    scene.show(street, 1)
    assert scene.wait(4) is CameraState.OK
    assert scene.wait(2 * FROZEN_S) is CameraState.AWAY
    assert scene.show(street, 0.2) is CameraState.OK
    assert scene.events == ["away", "ok"]


def test_a_change_of_size_is_an_event_and_the_pictures_stay_good(scene: Scene, street: Picture) -> None:
    scene.show(street, 1)
    assert scene.show(street[::2, ::2], 1) is CameraState.OK
    scene.show(street, 1)
    assert scene.events == ["resized", "resized"]
