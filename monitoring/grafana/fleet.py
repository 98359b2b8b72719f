"""*Fleet*: the first screen. Is it well, how much more fits, and what does it cost?"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import VariableOption

from monitoring.grafana.load_chart import load_chart
from monitoring.grafana.panels import (
    GREEN,
    RED,
    YELLOW,
    Place,
    Query,
    board,
    label_variable,
    number,
    series,
    steps,
)

_FRESHNESS = steps((None, RED), (0.98, YELLOW), (0.99, GREEN))
_COMPLETENESS = steps((None, RED), (0.998, YELLOW), (0.999, GREEN))


def fleet() -> Dashboard:
    """The whole of it."""
    made = (
        board(
            "Narrows / Fleet", "narrows-fleet", "Load against streams, the objectives, what comes in and what it costs."
        )
        .with_variable(label_variable("group", "Stream group", "narrows_streams", "group"))
        .with_variable(
            TextBoxVariable("price")
            .label("Price of a server an hour")
            .default_value("1")
            .current(VariableOption(selected=True, text="1", value="1"))
        )
        .with_panel(load_chart(Place(0, 0, 14, 16)))
    )
    return _courses(_figures(made))


def _figures(made: Dashboard) -> Dashboard:
    cost = '$price * max(narrows_scale_servers{state="ready"}) / fleet:narrows_active_streams:sum * 1000'
    masks = 'sum(group:narrows_frames:rate1m{outcome="mask",group=~"$group"})'
    return (
        made.with_panel(
            number(
                "Streams",
                Place(14, 0, 5, 4),
                "fleet:narrows_active_streams:sum",
                about="With a frame in the last 10 s.",
            )
        )
        .with_panel(number("Masks a second", Place(19, 0, 5, 4), masks, about="Of the groups chosen.", decimals=1))
        .with_panel(
            number(
                "Masks within 500 ms, 5 min",
                Place(14, 4, 5, 4),
                "1 - fleet:narrows_late_frames:ratio_rate5m",
                unit="percentunit",
                about="Of realtime frames. The objective is 99 % over 30 days.",
                limits=_FRESHNESS,
                decimals=2,
            )
        )
        .with_panel(
            number(
                "Masks within 500 ms, 30 d",
                Place(19, 4, 5, 4),
                "1 - fleet:narrows_late_frames:ratio_rate30d",
                unit="percentunit",
                about="Of realtime frames. The objective is 99 %.",
                limits=_FRESHNESS,
                decimals=2,
            )
        )
        .with_panel(
            number(
                "Frames with a mask, 30 d",
                Place(14, 8, 5, 4),
                "1 - fleet:narrows_unmasked_frames:ratio_rate30d",
                unit="percentunit",
                about="Of admitted frames. The objective is 99.9 %.",
                limits=_COMPLETENESS,
                decimals=3,
            )
        )
        .with_panel(
            number(
                "Received",
                Place(19, 8, 5, 4),
                "fleet:narrows_payload_bytes:rate1m * 8",
                unit="bps",
                about="Feature packets, all cameras together.",
                decimals=1,
            )
        )
        .with_panel(
            number(
                "Cost of 1000 streams an hour",
                Place(14, 12, 5, 4),
                cost,
                about="Servers that are ready times their price (above), for each 1000 streams.",
                decimals=2,
            )
        )
        .with_panel(
            number(
                "More cameras that fit",
                Place(19, 12, 5, 4),
                "max(narrows_capacity_streams)",
                about="Cameras like the present ones, until the target load, with the servers there are.",
                limits=steps((None, RED), (5, YELLOW), (20, GREEN)),
            )
        )
    )


def _courses(made: Dashboard) -> Dashboard:
    stage = 'histogram_quantile({q}, sum by (le) (rate(narrows_stage_seconds_bucket{{stage="total"}}[1m])))'
    means = (
        'sum by (stage) (rate(narrows_stage_seconds_sum{stage!~"total|uplink"}[1m]))'
        ' / sum by (stage) (rate(narrows_stage_seconds_count{stage!~"total|uplink"}[1m]))'
    )
    return (
        made.with_panel(
            series(
                "How frames end",
                Place(0, 16, 8, 8),
                [
                    Query('sum by (outcome) (group:narrows_frames:rate1m{group=~"$group"})', "{{outcome}}"),
                    Query('sum(group:narrows_lost_frames:rate1m{group=~"$group"})', "lost"),
                ],
                about="Frames a second by their outcome; lost are gaps in a sequence, closed after 30 s.",
            )
        )
        .with_panel(
            series(
                "From entry to mask",
                Place(8, 16, 8, 8),
                [Query(stage.format(q=q), f"p{round(100 * q)}") for q in (0.5, 0.95, 0.99)],
                unit="s",
                about="From the Redis entry id to the published mask.",
                most=0.5,
            )
        )
        .with_panel(
            series(
                "Where the time goes",
                Place(16, 16, 8, 8),
                [Query(means, "{{stage}}")],
                unit="s",
                about="Mean of each stage of a frame's way in the cloud.",
            )
        )
        .with_panel(
            series(
                "Streams",
                Place(0, 24, 8, 8),
                [Query('sum by (group, state) (group:narrows_streams:sum{group=~"$group"})', "{{group}}, {{state}}")],
                about="Live: a frame within a minute. Silent: within the last day, and not within a minute.",
            )
        )
        .with_panel(
            series(
                "Backlog",
                Place(8, 24, 8, 8),
                [
                    Query("fleet:narrows_backlog_frames:sum", "frames"),
                    Query("fleet:narrows_backlog_age_seconds:max", "age of the oldest, s"),
                ],
                about="Frames without an end.",
            )
        )
        .with_panel(
            series(
                "Refused packets",
                Place(16, 24, 8, 8),
                [Query("sum by (reason) (rate(narrows_dead_letters_total[5m]))", "{{reason}}")],
                about="Dead letters a second by reason.",
            )
        )
        .with_panel(
            series(
                "Redis memory",
                Place(0, 32, 8, 8),
                [Query("redis_memory_used_bytes", "used"), Query("redis_memory_max_bytes", "maxmemory")],
                unit="bytes",
                about="When it is full cameras are refused; nothing is evicted.",
            )
        )
        .with_panel(
            series(
                "Dispatchers",
                Place(8, 32, 8, 8),
                [Query("narrows_dispatcher_saturation", "{{instance}}")],
                unit="percentunit",
                about="Busy share of each event loop. Near 1: start another.",
                most=0.9,
            )
        )
        .with_panel(
            series(
                "Faults",
                Place(16, 32, 8, 8),
                [Query("sum by (cause) (increase(narrows_faults_total[5m]))", "{{cause}}")],
                about="Met within 5 minutes; docs/faults.md says what each means.",
            )
        )
    )
