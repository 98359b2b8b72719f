import math

import pytest

from benchmarks.accuracy.figures import render
from benchmarks.rate.claims import RIVALS, bounds_of, claims_of, curve_of
from benchmarks.rate.curves import Point, bd_rate, bits_at, common_rates, envelope, margins, miou_at
from benchmarks.rate.figures import savings

OURS = (Point(0.01, 0.60), Point(0.02, 0.64), Point(0.04, 0.66))
THEIRS = (Point(0.02, 0.60), Point(0.04, 0.64), Point(0.08, 0.66))


def test_a_curve_is_read_between_its_points_in_log_rate() -> None:
    assert miou_at(OURS, 0.02) == pytest.approx(0.64)
    assert miou_at(OURS, math.sqrt(0.01 * 0.02)) == pytest.approx(0.62)
    assert bits_at(OURS, 0.62) == pytest.approx(math.sqrt(0.01 * 0.02))


def test_nothing_is_said_outside_a_curve() -> None:
    assert miou_at(OURS, 0.009) is None
    assert miou_at(OURS, 0.041) is None
    assert bits_at(OURS, 0.67) is None
    assert bits_at((), 0.5) is None


def test_half_the_bits_at_every_accuracy_is_minus_fifty_percent() -> None:
    saving = bd_rate(OURS, THEIRS)
    assert saving is not None
    assert saving.percent == pytest.approx(-50)
    assert (saving.from_miou, saving.to_miou) == (0.60, 0.66)


def test_curves_that_never_meet_have_no_saving() -> None:
    assert bd_rate(OURS, (Point(0.1, 0.7), Point(0.2, 0.8))) is None


def test_a_point_that_another_beats_is_not_on_the_envelope() -> None:
    assert envelope((*OURS, Point(0.03, 0.63))) == OURS


def test_margins_are_points_at_common_rates() -> None:
    rates = common_rates((OURS, THEIRS), 5)
    assert (rates[0], rates[-1]) == (0.02, 0.04)
    assert margins(OURS, THEIRS, rates)[0] == pytest.approx(4)
    assert common_rates((OURS, (Point(0.5, 0.7), Point(0.6, 0.8))), 5) == []


def _method(points: list[Point], parameters: int = 10, codec_ms: float | None = 1) -> dict[str, object]:
    return {
        "cloud": {"parameters": parameters, "macs": parameters, "cpu_ms": parameters / 2, "codec_cpu_ms": codec_ms},
        "points": [{"bits_per_pixel": p.bits_per_pixel, "miou": p.miou} for p in points],
    }


def test_the_claims_compare_bits_only_where_both_curves_are() -> None:
    methods = {
        "joint": _method(list(OURS)),
        "end_to_end": _method(list(OURS)),
        "end_to_end_p": _method([Point(p.bits_per_pixel / 2, p.miou) for p in OURS]),
        "joint_together": _method(list(OURS)),
        "separate_together": _method([Point(p.bits_per_pixel, p.miou + 0.005) for p in OURS], 200),
        "h264": _method(list(THEIRS)),
        "hevc": _method([Point(0.5, 0.7), Point(0.6, 0.8)]),
        "separate_deeplabv3plus": _method([Point(p.bits_per_pixel, p.miou - 0.01) for p in OURS], 200),
        "separate_lraspp": _method([Point(p.bits_per_pixel, p.miou - 0.03) for p in OURS]),
        "separate_context": _method([Point(p.bits_per_pixel, p.miou - 0.02) for p in OURS]),
        "avif": _method(list(THEIRS)),
        "jpeg": _method([Point(0.3, 0.65), Point(0.4, 0.7)], 100, 4),
        "mask_at_edge": _method([Point(0.03, 0.62), Point(0.06, 0.66)]),
    }
    claims = claims_of(methods, uncompressed_miou=0.66)
    assert claims["cloud_parameter_ratio"] == pytest.approx(0.05)
    assert claims["cloud_cpu_ratio"] == pytest.approx(0.05)
    assert claims["streams_per_core"] == pytest.approx(54 / 6)
    assert claims["worst_miou_margin"] == pytest.approx(1)
    assert claims["worst_together_margin"] == pytest.approx(-0.5)
    assert claims["equal_cost_margin"] == pytest.approx(2), "of two rivals of equal cost the better one counts"
    assert claims["best_miou"] == pytest.approx(0.66)
    assert claims["bits_ratio_avif"] == pytest.approx(0.5)
    assert claims["bits_ratio_jpeg"] is None
    assert claims["bits_ratio_h264"] == pytest.approx(0.5)
    assert claims["bits_ratio_h264_p"] == pytest.approx(0.25), "features as P packets beside a video"
    assert claims["bits_ratio_hevc_p"] is None
    assert claims["bits_ratio_edge_mask"] is not None


def test_a_bound_is_given_only_where_our_cheapest_level_is_better_than_the_target() -> None:
    methods = {
        "end_to_end": _method(list(OURS)),
        **{name: _method([Point(0.2, 0.5), Point(0.8, 0.7)]) for name in RIVALS},
    }
    assert bounds_of(methods, 0.5)["avif"] == pytest.approx(0.01 / 0.2)
    assert bounds_of(methods, 0.61)["avif"] is None
    assert bounds_of(methods, 0.4)["avif"] is None


def test_a_codecs_curve_is_its_best_settings_tuned_or_not() -> None:
    points = [(0.1, 0.5, False), (0.1, 0.6, True), (0.2, 0.55, False), (0.2, 0.62, True), (0.05, 0.4, False)]
    method = {
        "points": [{"bits_per_pixel": rate, "miou": miou, "quality": 1, "tuned": tuned} for rate, miou, tuned in points]
    }
    assert curve_of(method) == (Point(0.05, 0.4), Point(0.1, 0.6), Point(0.2, 0.62))


def _saving(percent: float, low: float, high: float) -> dict[str, float]:
    return {"percent": percent, "from_miou": low, "to_miou": high}


def test_the_table_tells_of_bits_where_a_point_of_accuracy_or_more_is_shared() -> None:
    methods = {name: {"label": name.upper()} for name in ("avif", "mask", "h264")}
    found = {"avif": _saving(-80, 0.6, 0.65), "mask": _saving(200, 0.7, 0.705), "h264": None}
    rows = savings({"methods": methods, "bd_rate_of_end_to_end": found})
    assert rows == [["AVIF", "-80 %", "60.0% to 65.0%"]]
    both = {
        "methods": methods,
        "bd_rate_of_end_to_end": found,
        "bd_rate_of_end_to_end_p": {"h264": _saving(-90, 0.5, 0.6)},
    }
    assert savings(both)[1:] == [["H264, ours as P", "-90 %", "50.0% to 60.0%"]]


def test_features_beside_masks_are_told_in_times_the_bits() -> None:
    features, masks = (
        [
            {"level": 0, "encoder": "int8", "packet_bytes": 1, "bits_per_pixel": rate, "miou": miou}
            for rate, miou in each
        ]
        for each in ([(0.02, 0.6), (0.04, 0.7)], [(0.01, 0.6), (0.02, 0.7)])
    )
    rows = [{"divisor": 1, **mask} for mask in masks]
    told = render({"levels": features, "camera_masks": rows})
    assert "60.0% to 70.0%, features need 2.0 times the bits of masks" in told
    near = [{**row, "miou": 0.698 + 0.001 * number} for number, row in enumerate(rows)]
    assert "BD-rate" not in render({"levels": features, "camera_masks": near})
