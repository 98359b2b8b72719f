"""What is advised follows the rule of automatic cameras, then the best way that device and link carry."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.masks.rule import Reason
from narrows.contract.errors import RecordError
from narrows.contract.wire import Sends
from narrows.ops.advise import FrontierVerdicts, Margin, Need, Way, advise, read_frontier

FEATURES = [Way(Sends.FEATURES, level, 0.05, size) for level, size in enumerate((1800.0, 1000.0, 600.0, 360.0, 300.0))]
MASKS = [Way(Sends.MASKS, divisor, 0.056, size) for divisor, size in ((1, 700.0), (2, 460.0), (4, 370.0), (8, 270.0))]
WAYS = [*FEATURES, *MASKS]


def need(*, fps: float = 5, kbps: float = math.inf, outputs: int = 1) -> Need:
    return Need(fps, kbps * 125, outputs)


@pytest.mark.parametrize(
    ("wanted", "name", "reason"),
    [
        pytest.param(need(), "masks", Margin.MASK_UNBEATEN, id="a wide link, and nothing says that features pay"),
        pytest.param(need(kbps=50), "masks", Reason.LINK, id="a link that carries no features at the finest level"),
        pytest.param(need(kbps=20), "masks at 1/2", Reason.LINK, id="the finest mask that fits"),
        pytest.param(
            need(kbps=50, outputs=2), "features, level 1", Reason.OUTPUTS, id="two questions: features that fit"
        ),
        pytest.param(need(fps=17, kbps=100), "features, level 2", Reason.DEVICE, id="no time for the decoder"),
    ],
)
def test_what_is_advised(wanted: Need, name: str, reason: Reason | Margin) -> None:
    advice = advise(WAYS, wanted)
    assert (advice.way.name, advice.reason, advice.fits) == (name, reason, True)


def test_features_that_were_measured_to_beat_the_mask_are_advised_where_the_link_carries_them() -> None:
    wide, thin = (advise(WAYS, each, Sends.FEATURES) for each in (need(), need(kbps=50)))
    assert (wide.way.name, wide.reason) == ("features, level 0", Margin.FEATURES_AHEAD)
    assert (thin.way.name, thin.reason) == ("masks", Reason.LINK)


def test_the_smallest_budget_that_the_camera_fits_decides() -> None:
    verdicts = FrontierVerdicts({0.1: Sends.MASKS, 0.4: Sends.FEATURES})
    sent = [verdicts.sends(gmac) for gmac in (0.05, 0.1, 0.11, 0.4, 0.41)]
    assert sent == [Sends.MASKS, Sends.MASKS, Sends.FEATURES, Sends.FEATURES, Sends.MASKS]
    assert FrontierVerdicts().sends(0.05) is Sends.MASKS


def test_the_benchs_result_is_read_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frontier.json"
    path.write_text(json.dumps({"margins": {"0.05": {"send": "mask"}, "0.2": {"send": "features", "points": 3.4}}}))
    assert read_frontier(path).by_budget_gmac == {0.05: Sends.MASKS, 0.2: Sends.FEATURES}
    path.write_text(json.dumps({"margins": {"0.2": {"send": "layered"}}}))
    assert read_frontier(path).by_budget_gmac == {0.2: Sends.MASKS}, "no camera sends that"
    for wrong in (
        '{"margins": {"0.2": {"send": "picture"}}}',
        '{"rows": []}',
        "[]",
        '{"margins": {"x": {}}}',
        '{"margins": {"inf": {"send": "features"}}}',
    ):
        path.write_text(wrong)
        with pytest.raises(RecordError):
            read_frontier(path)
    with pytest.raises(RecordError, match="bench-frontier"):
        read_frontier(tmp_path / "none.json")


def test_where_the_link_carries_nothing_it_is_the_smallest_and_said() -> None:
    advice = advise(WAYS, need(kbps=5))
    assert (advice.way.name, advice.fits) == ("masks at 1/8", False)


def test_where_the_device_keeps_up_with_nothing_it_is_the_quickest_and_said() -> None:
    slow = [Way(way.sends, way.choice, way.device_s - way.choice / 1000, way.frame_bytes) for way in FEATURES]
    advice = advise(slow, need(fps=100))
    assert (advice.way.name, advice.fits) == ("features, level 4", False)


def test_without_a_camera_decoder_it_is_features() -> None:
    advice = advise(FEATURES, need(kbps=16))
    assert (advice.way.name, advice.reason) == ("features, level 3", Reason.CLOUD)


def test_nothing_measured_is_no_advice() -> None:
    with pytest.raises(ValueError, match="no way"):
        advise([], need())


@given(st.floats(0.1, 60), st.floats(1, 10_000), st.integers(1, 8))
def test_advice_that_fits_fits_and_one_that_does_not_has_no_better(fps: float, kbps: float, outputs: int) -> None:
    wanted = need(fps=fps, kbps=kbps, outputs=outputs)
    advice = advise(WAYS, wanted)
    assert advice.fits == wanted.fits(advice.way)
    if outputs > 1:
        assert advice.way.sends is Sends.FEATURES
    if not advice.fits:
        assert not any(wanted.fits(way) for way in WAYS if way.sends is advice.way.sends)
