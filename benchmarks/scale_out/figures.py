"""The figures of ``benchmarks/results/scale-out.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import load, table

_WHAT = {
    "process": "a process, a second",
    "shard": "a shard, a second",
    "stream": "a stream, a second",
    "frame": "a frame",
}


def render(result: dict[str, Any]) -> str:
    """Processes side by side, the costs, and fleets that nobody measured."""
    return "\n\n".join(
        [
            table(
                ["processes", "frames/s, saturated", "CPU ms a frame: dispatchers", "Redis", "shards of the busiest"],
                [_side(row) for row in result["processes"]],
            ),
            table(
                ["CPU ms of", "dispatchers", "Redis"],
                [
                    [what, _cost(result, "dispatchers", name), _cost(result, "redis", name)]
                    for name, what in _WHAT.items()
                ],
            ),
            _error(result),
            table(
                [
                    "cameras",
                    "frames/s each",
                    "shards",
                    "processes",
                    "cores: dispatchers",
                    "Redis masters",
                    "cores: Redis",
                ],
                [_fleet(row) for row in result["fleets"]],
            ),
            f"Two cores carried all of it, cameras too; {load(result)}.",
        ]
    )


def _side(row: dict[str, Any]) -> list[str]:
    return [
        str(row["processes"]),
        f"{row['frames_per_s']:,.0f}",
        f"{row['dispatchers_ms']:.2f}",
        f"{row['redis_ms']:.2f}",
        f"{row['most_shards']} of {row['shards']}",
    ]


def _cost(result: dict[str, Any], part: str, name: str) -> str:
    found = result["fit"][part]
    return f"{found['cost_ms'][name]:.3f} ± {2 * found['standard_error_ms'][name]:.3f}"


def _error(result: dict[str, Any]) -> str:
    points, parts = result["points"], result["fit"]
    most = {name: max(point[name] for point in points) for name in ("processes", "shards", "streams")}
    rate = max(point["frames"] / point["span_s"] for point in points)
    return (
        f"Least squares over {len(points)} points of up to {most['processes']} processes, {most['shards']} shards, "
        f"{most['streams']:,} streams and {rate:,.0f} frames/s. A point that was left out of the fit is foretold to "
        f"{parts['dispatchers']['rms_left_out']:.0%} (dispatchers) and {parts['redis']['rms_left_out']:.0%} (Redis), "
        "root mean square; ± are two standard errors, in the next table with that scatter."
    )


def _fleet(row: dict[str, Any]) -> list[str]:
    installs = f" in {row['installs']} installs" if row["installs"] > 1 else ""
    return [
        f"{row['cameras']:,}",
        str(row["frames_per_s"]),
        f"{row['shards']:,}{installs}",
        f"{row['processes']:,}",
        f"{row['dispatcher_cores']:,.1f} ± {row['dispatcher_cores_error']:,.1f}",
        f"{row['redis_nodes']:,}",
        f"{row['redis_cores']:,.1f} ± {row['redis_cores_error']:,.1f}",
    ]
