"""From builders to the JSON that Grafana loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.grafana.autoscaler import ANNOTATED, autoscaler
from monitoring.grafana.decoders import decoders
from monitoring.grafana.fleet import fleet

_OF_INTERVALS = ("auto", "auto_count", "auto_min")
FOLDER = Path(__file__).parent / "dashboards"


def dashboards() -> Mapping[str, str]:
    """The text of each file in ``dashboards/``, by its name."""
    built = {"fleet": fleet(), "decoders": decoders(), "autoscaler": autoscaler()}
    texts = {name: JSONEncoder(indent=2, sort_keys=True).encode(each.build()) for name, each in built.items()}
    return {f"{name}.json": _complete(text) for name, text in texts.items()}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write them; answers the files."""
    folder.mkdir(exist_ok=True)
    for name, text in dashboards().items():
        (folder / name).write_text(text)
    return [folder / name for name in dashboards()]


def _complete(text: str) -> str:
    """Number the panels, add what the SDK leaves out, and leave out what it adds where Grafana has no such field."""
    board = json.loads(text)
    for number, panel in enumerate(board["panels"], 1):
        panel["id"] = number
    for variable in board["templating"]["list"]:
        for name in _OF_INTERVALS:
            variable.pop(name, None)
    for annotation in board.get("annotations", {}).get("list", []):
        annotation.update(ANNOTATED)
    return json.dumps(board, indent=2, sort_keys=True) + "\n"
