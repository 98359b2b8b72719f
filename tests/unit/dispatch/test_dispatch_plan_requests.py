"""What a dispatcher tells a camera that plans."""

from __future__ import annotations

import shutil
from pathlib import Path

from narrows.contract.bundle import SplitBundle
from narrows.contract.wire import Control, StreamSettings
from orchestrator.dispatch.plan_requests import plan_fields
from tests import split_bundles


def test_a_camera_is_told_its_pin_the_load_and_what_is_served_if_something_is_not(tmp_path: Path) -> None:
    bundle = split_bundles.write(tmp_path / "whole")
    pinned = StreamSettings(design="cut 1, level 0")
    assert plan_fields(bundle, pinned, 0.254) == {"design": "cut 1, level 0", "cloud_load": 0.25, "cuts": None}
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half" / "tail0.onnx").unlink()
    half = plan_fields(SplitBundle.open(tmp_path / "half"), StreamSettings(), 1.5)
    assert half == {"design": None, "cloud_load": 1.5, "cuts": (1,)}
    assert Control.parse(Control(**half).to_json()) == Control(cloud_load=1.5, cuts=(1,))
