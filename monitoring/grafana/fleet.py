"""*Fleet*: the first screen. Is it well, how much more fits, and what does it cost?"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import VariableOption

from monitoring.grafana.load_chart import load_chart
from monitoring.grafana.panels import (
    FRAMES_PER_S,
    GREEN,
    RED,
    YELLOW,
    Place,
    Query,
    board,
    firing_alerts,
    label_variable,
    number,
    series,
    steps,
)
from orchestrator.telemetry.health import DISPATCHER_BUSY, MASKS, MASKS_IN_TIME

_FRESHNESS = steps((None, RED), (0.98, YELLOW), (MASKS_IN_TIME.warning, GREEN))
_COMPLETENESS = steps((None, RED), (0.998, YELLOW), (MASKS.warning, GREEN))

_PIXELS = 'narrows_audited_pixels_total{group=~"$group"'
AUDITED = f'sum by (group) (rate({_PIXELS},agrees="no"}}[15m])) / sum by (group) (rate({_PIXELS}}}[15m]))'
"""No number where no mask is audited: a share of nothing."""


def fleet() -> Dashboard:
    """The whole of it."""
    made = (
        board("Fleet", "Load against streams, the objectives, what comes in and what it costs.")
        .with_variable(label_variable("group", "Stream group", "narrows_streams", "group"))
        .with_variable(label_variable("dispatcher", "Dispatcher", "narrows_shards_owned", "instance"))
        .with_variable(
            TextBoxVariable("price")
            .label("Price of a server an hour")
            .default_value("1")
            .current(VariableOption(selected=True, text="1", value="1"))
        )
        .with_panel(load_chart(Place(0, 0, 14, 16)))
    )
    return _camera_masks(_dispatchers(_stores(_frames(_figures(made)))))


def _figures(made: Dashboard) -> Dashboard:
    cost = '$price * max(narrows_scale_servers{state="ready"}) / fleet:narrows_active_streams:sum * 1000'
    masks = 'sum(group:narrows_frames:rate1m{outcome="mask",group=~"$group"})'
    return (
        made.with_panel(
            number(
                "Streams",
                Place(14, 0, 5, 4),
                "fleet:narrows_active_streams:sum",
                unit="count:streams",
                about="With a frame in the last 10 s.",
            )
        )
        .with_panel(
            number(
                "Masks a second",
                Place(19, 0, 5, 4),
                masks,
                unit=FRAMES_PER_S,
                about="Of the groups chosen.",
                decimals=1,
            )
        )
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
                unit="suffix: /h",
                about="Servers that are ready times their price (above), for each 1000 streams.",
                decimals=2,
            )
        )
        .with_panel(
            number(
                "More cameras that fit",
                Place(19, 12, 5, 4),
                "max(narrows_capacity_streams)",
                unit="count:cameras",
                about="Cameras like the present ones, until the target load, with the servers there are.",
                limits=steps((None, RED), (5, YELLOW), (20, GREEN)),
                links=["Autoscaler"],
            )
        )
    )


def _frames(made: Dashboard) -> Dashboard:
    stage = (
        "histogram_quantile({q}, sum by (le) "
        '(rate(narrows_stage_seconds_bucket{{stage="total",instance=~"$dispatcher"}}[1m])))'
    )
    chosen = '{stage!~"total|uplink",instance=~"$dispatcher"}'
    means = (
        f"sum by (stage) (rate(narrows_stage_seconds_sum{chosen}[1m]))"
        f" / sum by (stage) (rate(narrows_stage_seconds_count{chosen}[1m]))"
    )
    return (
        made.with_panel(
            firing_alerts(
                "Alerts",
                Place(0, 16, 8, 8),
                "Pending and firing, as Prometheus has them; each names its runbook.",
            )
        )
        .with_panel(
            series(
                "How frames end",
                Place(8, 16, 8, 8),
                [
                    Query('sum by (outcome) (group:narrows_frames:rate1m{group=~"$group"})', "{{outcome}}"),
                    Query('sum(group:narrows_lost_frames:rate1m{group=~"$group"})', "lost"),
                ],
                unit=FRAMES_PER_S,
                about="Frames by their outcome; lost are gaps in a sequence, closed after 30 s. "
                "Who sends or loses most: `narrows streams list --sort offered`, or skipped.",
            )
        )
        .with_panel(
            series(
                "Streams",
                Place(16, 16, 8, 8),
                [Query('sum by (group, state) (group:narrows_streams:sum{group=~"$group"})', "{{group}}, {{state}}")],
                unit="count:streams",
                about="Live: a frame within a minute. Silent: within the last day, and not within a minute.",
            )
        )
        .with_panel(
            series(
                "From entry to mask",
                Place(0, 24, 8, 8),
                [Query(stage.format(q=q), f"p{round(100 * q)}") for q in (0.5, 0.95, 0.99)],
                unit="s",
                about="From the Redis entry id to the published mask.",
                most=0.5,
                links=["Decoders"],
            )
        )
        .with_panel(
            series(
                "Where the time goes",
                Place(8, 24, 8, 8),
                [Query(means, "{{stage}}")],
                unit="s",
                about="Mean of each stage of a frame's way in the cloud.",
                links=["Decoders"],
            )
        )
    )


def _stores(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            series(
                "Backlog",
                Place(16, 24, 8, 8),
                [
                    Query('sum(narrows_backlog_frames{instance=~"$dispatcher"})', "frames"),
                    Query('max(narrows_backlog_age_seconds{instance=~"$dispatcher"})', "age of the oldest", "s"),
                ],
                unit="count:frames",
                about="Frames without an end, and the age of the oldest (on the right).",
                links=["Autoscaler"],
            )
        )
        .with_panel(
            series(
                "Refused packets",
                Place(0, 32, 8, 8),
                [
                    Query(
                        'sum by (reason) (rate(narrows_dead_letters_total{instance=~"$dispatcher"}[5m]))', "{{reason}}"
                    )
                ],
                unit="count:packets/s",
                about="Dead letters by reason.",
            )
        )
        .with_panel(
            series(
                "Camera clocks",
                Place(8, 32, 8, 8),
                [
                    Query(
                        'sum by (instance) (rate(narrows_clock_future_total{instance=~"$dispatcher"}[5m]))',
                        "{{instance}} ahead",
                    ),
                    Query(
                        'sum by (instance) (rate(narrows_clock_behind_total{instance=~"$dispatcher"}[5m]))',
                        "{{instance}} behind, or spooled",
                    ),
                ],
                unit=FRAMES_PER_S,
                about="Frames with a capture time ahead of the server's clock (whose: `narrows streams list --sort "
                "clock-ahead`), or over a minute before it: sent from a spool, or by a camera whose clock is behind.",
            )
        )
        .with_panel(
            series(
                "Redis memory",
                Place(16, 32, 8, 8),
                [Query("redis_memory_used_bytes", "used"), Query("redis_memory_max_bytes", "maxmemory")],
                unit="bytes",
                about="When it is full cameras are refused; nothing is evicted.",
            )
        )
    )


def _dispatchers(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            series(
                "Frames ended by each dispatcher",
                Place(0, 40, 8, 8),
                [
                    Query(
                        'sum by (instance, process) (rate(narrows_frames_total{instance=~"$dispatcher"}[1m]))',
                        "{{instance}} {{process}}",
                    )
                ],
                unit=FRAMES_PER_S,
                about="None while its backlog is not empty: it is stuck.",
            )
        )
        .with_panel(
            series(
                "Load of each dispatcher",
                Place(8, 40, 8, 8),
                [
                    Query('narrows_dispatcher_saturation{instance=~"$dispatcher"}', "{{instance}} {{process}}"),
                    Query(
                        'narrows_shards_owned{instance=~"$dispatcher"}',
                        "{{instance}} {{process}}: shards",
                        "count:shards",
                    ),
                ],
                unit="percentunit",
                about="Busy share of each event loop, near 1: start another. Its shards (on the right).",
                most=DISPATCHER_BUSY.warning,
            )
        )
        .with_panel(
            series(
                "Faults",
                Place(16, 40, 8, 8),
                [Query('sum by (cause) (increase(narrows_faults_total{instance=~"$dispatcher"}[5m]))', "{{cause}}")],
                unit="count:faults",
                about="Met within 5 minutes; docs/faults.md says what each means.",
            )
        )
    )


def _camera_masks(made: Dashboard) -> Dashboard:
    return made.with_panel(
        series(
            "Who makes the masks",
            Place(0, 48, 12, 8),
            [Query('sum by (made_by) (rate(narrows_masks_total{group=~"$group"}[1m]))', "{{made_by}}")],
            unit=FRAMES_PER_S,
            about="Cameras that make masks themselves ask nothing of the decoders.",
        )
    ).with_panel(
        series(
            "Audited masks that differ",
            Place(12, 48, 12, 8),
            [Query(AUDITED, "{{group}}")],
            unit="percentunit",
            about="Share of the pixels of cameras' own masks on which the cloud's, made of the same latents, differ.",
        )
    )
