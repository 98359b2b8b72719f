"""The camera's program with a contender in the planner's place; one process.

``python -m benchmarks.split.real.camera --contender NAME ...``: all else is `narrows edge`'s.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from threading import Event

from benchmarks.split.real.contenders import LEAST_AGREEMENT, Known, planner_of
from edge_client.planning.settings import PlanSettings
from edge_client.program import run
from edge_client.settings import EdgeSettings
from narrows.contract.schedule import Constraints, Objective

_LONGEST_WAIT_S = 600.0
"""No packet is given up for its age: a frame that is late counts as late."""


def main() -> None:
    """Play until SIGTERM, then flush."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("contender", "stream", "redis-url", "source"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("bundle", "folder"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("quota", "fps"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--objective", type=Objective, choices=list(Objective), required=True)
    options = parser.parse_args()
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = EdgeSettings(
        source=options.source,
        stream=options.stream,
        redis_url=options.redis_url,
        bundle=options.bundle,
        state_folder=options.folder / "state",
        journal=options.folder / "journal.jsonl",
        frames_per_s=options.fps,
        loop=True,
        max_age_s=_LONGEST_WAIT_S,
        plan=PlanSettings(options.objective, Constraints(least_accuracy=LEAST_AGREEMENT)),
    )
    run(settings, stop, planner_of(options.contender, Known.of(options.bundle, options.quota, options.fps)))


if __name__ == "__main__":
    main()
