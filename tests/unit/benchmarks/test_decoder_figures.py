"""What `make bench-decoder` claims, and how it is shown."""

import pytest

from benchmarks.decoder.figures import render

MS = {
    "joint_before": 10.0,
    "joint": 5.0,
    "separate_deeplabv3_before": 30.0,
    "separate_deeplabv3": 25.0,
    "picture_network_before": 60.0,
    "picture_network": 55.0,
    "joint_int8": 4.0,
    "separate_deeplabv3_int8": 16.0,
    "picture_network_int8": 40.0,
}
RATIOS = {
    "cloud_cpu_ratio_before": 0.33,
    "cloud_cpu_ratio": 0.2,
    "cloud_cpu_ratio_int8": 0.16,
    "cloud_cpu_ratio_all_int8": 0.25,
    "streams_per_core_before": 6.0,
    "streams_per_core": 11.0,
    "streams_per_core_int8": 13.75,
    "streams_per_core_all_int8": 10.0,
}


def test_each_graph_is_shown_before_and_after() -> None:
    shown = render({"cpu_ms": MS, **RATIOS})
    assert "| joint decoder | 10.0 | 5.0 | 4.0 | 0.50 | 0.40 |" in shown
    assert "| `cloud_cpu_ratio` | 0.33 | 0.20 | 0.16 | 0.25 | at most 0.16 |" in shown
    assert "| `streams_per_core` | 6.0x | 11.0x | 13.8x | 10.0x | at least 14x |" in shown


@pytest.mark.parametrize("lost", [[-0.01, 0.033]])
def test_what_masks_lost_is_said_where_it_was_measured(lost: list[float]) -> None:
    masks = {"data": "camvid, split val", "points_lost": lost, "agreement": [0.9947, 0.9944]}
    shown = render({"cpu_ms": MS, **RATIOS, "masks": masks, "masks_int8": masks})
    for what in ("sharing rows", "int8 beside that"):
        assert f"lost by {what}, level by level (camvid, split val): -0.010, 0.033; at least 99.44% of" in shown
