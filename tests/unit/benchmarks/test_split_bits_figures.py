"""The table of `make bench-split-bits`."""

from __future__ import annotations

from typing import Any

from benchmarks.split_bits.figures import render

BEST = {
    "head_macs_share": 0.9, "bits": 8, "steps": "range", "bytes": 1000.0, "ratio": 5.3, "over_best_coder": 0.8,
    "best_rival": "zstd", "lost_points": 0.24, "interval": [0.1, 0.4], "positives": 100,
}  # fmt: skip


def cells(inside: dict[str, Any] | None, best: dict[str, Any] | None) -> list[str]:
    network = {
        "name": "n", "measure": "IoU", "share_of_pictures": 0.2, "at_one_point": inside, "best": best,
        "picture_codec": {}, "positives_are": "pictures",
    }  # fmt: skip
    return [cell.strip() for cell in render({"networks": [network]}).splitlines()[2].strip("|").split("|")]


def test_a_network_whose_cuts_hold_outside_the_middle_alone_has_its_best_said() -> None:
    found = cells(None, BEST)
    assert found[1:8] == ["none holds"] * 7
    assert found[8] == "5.3 at 90% of the MACs, 0.24 points"
    assert cells(None, None)[8] == "none holds"
    assert cells(BEST, BEST)[1:5] == ["90%", "8, by range", "1,000", "5.3"]
