"""What `make e2e` found, as a page shows it."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def rows(result: dict[str, Any]) -> list[list[str]]:
    """A row a scene."""
    scenes, accounts = result["scenes"], result["accounts"]
    begins, reach, closed, load, kills, outage, bundle = scenes.values()
    slowest = max(kills["well_again_s"], key=lambda service: kills["well_again_s"][service])
    sent, lost, given_up = (sum(line[name] for line in accounts) for name in ("sent", "lost", "dropped"))
    lone = bundle["without_reference"]
    unreferenced = "none refused" + (f" but {lone} whose reference the former dispatcher had" if lone else "")
    return [
        ["`up --wait`", f"{begins['up_s']:.0f} s; the first masks have {begins['miou']:.1%} mIoU against their labels"],
        [
            "a camera tries the other services",
            f"of {reach['tried']} addresses only {', '.join(reach['reached'])} answers",
        ],
        [
            "Redis without TLS, a user, or with a wrong password; a camera without a key",
            f"nothing; all of its {closed['open_packets']} packets refused",
        ],
        [
            "8 cameras, then 2",
            f"a second Triton after {load['second_after_s']} s, gone after {load['one_again_after_s']} s",
        ],
        [
            f"SIGKILL to each of {len(kills['well_again_s'])} services",
            f"well again and masks come after {kills['well_again_s'][slowest]:.0f} s at most ({slowest})",
        ],
        [
            "no dispatcher",
            f"`{outage['alert']}` fires after {outage['fires_after_s']} s, is over {outage['over_after_s']} s after",
        ],
        [
            "a new bundle on a share of the streams, and back",
            f"{len(bundle['canaries'])} of {len(accounts)} streams, {bundle['canary_miou']:.1%} mIoU; {unreferenced}",
        ],
        [
            "the accounts",
            f"{sent:,} frames sent, each ended; {lost} lost, which their cameras gave up ({given_up})"
            if result["sound"]
            else "NOT BALANCED",
        ],
    ]


def render(result: dict[str, Any]) -> str:
    """What the stack in containers went through."""
    return table(["what happens", "what comes of it"], rows(result))
