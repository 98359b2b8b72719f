"""A run folder whose files were changed by hand, or damaged: each is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from narrows.contract.errors import RecordError
from narrows.models.training.config import TrainingConfig
from narrows.models.training.origin import ORIGIN, Origin

CONFIG = TrainingConfig(Path("data"), "train", None, begin_from=Path("bundles/demo"), level_shares=(0.5, 0.5))


def test_a_configuration_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for config in (CONFIG, replace(CONFIG, begin_from=None, level_shares=None, pretrained=Path("w.pth"))):
        config.write(path)
        assert TrainingConfig.read(path) == config


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "missing required field `data`"),
        ('{"data": 3, "split": "train", "pretrained": null}', r"data"),
        ('{"data": "d", "split": "train", "pretrained": null, "phases": [{"epochs": "x"}]}', r"phases"),
        ('{"data": "d", "split": "train", "pretrained": null, "seed": 1.5}', r"seed"),
    ],
)
def test_a_configuration_that_was_changed_by_hand_is_named(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=rf"config\.json.*{told}"):
        TrainingConfig.read(path)


@pytest.mark.parametrize("text", ["", "[]", '{"code": "one"}', '{"begun_from": 3}'])
def test_an_origin_that_was_changed_by_hand_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / ORIGIN).write_text(text)
    with pytest.raises(RecordError, match=r"origin\.json"):
        Origin.read(tmp_path)
