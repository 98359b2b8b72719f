"""The Python examples in ``docs/using-masks.md`` run as they stand, one after the other."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from narrows.contract.wire import FrameIdentity, MaskPacket, StreamKeys
from narrows.contract.wire.mask import class_areas
from orchestrator.servers import LocalRedis

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "using-masks.md").read_text()
FOLLOWS, SCALES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_prints_each_mask(
    server: LocalRedis, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.array([[3, 3], [3, 0]], np.uint8)
    mask = MaskPacket(7, FrameIdentity(1, 5), 0, 0, 9, labels, class_areas(labels, 11))
    key = StreamKeys.of("cam-1", 4).outcomes
    publisher = threading.Timer(0.5, client.xadd, (key, {"k": "mask", "p": mask.to_bytes()}))
    publisher.start()
    names: dict[str, Any] = {}
    exec(FOLLOWS.replace("redis://127.0.0.1:6379/0", server.url).replace("timeout_s=5", "timeout_s=2"), names)
    publisher.join()
    assert capsys.readouterr().out == "5 3 3\n"
    assert str(names["resume_from"]).partition("-")[0].isdigit()
    exec(SCALES, names)
    assert np.shape(names["full"]) == np.shape(names["people"]) == (1080, 1920)
