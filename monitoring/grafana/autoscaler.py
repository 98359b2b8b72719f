"""*Autoscaler*: what is wanted and what is there, against the streams; each decision with its reason."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery, Dashboard

from monitoring.grafana.panels import BLUE, FRAMES_PER_S, SOURCE, Place, Query, board, label_variable, series
from orchestrator.scaling.signals import SIGNALS

DECISIONS = 'sum by (action, reason) (increase(narrows_scale_decisions_total{action!="keep"}[$__interval])) > 0'
ANNOTATED = {"titleFormat": "{{action}}", "textFormat": "{{reason}}", "tagKeys": "action,reason", "step": "15s"}
"""What Grafana's Prometheus source reads of an annotation; the SDK knows no such fields."""


def autoscaler() -> Dashboard:
    """The whole of it."""
    made = (
        board("Autoscaler", "Servers and instances against streams, and why.")
        .with_variable(label_variable("bundle", "Bundle", "narrows_decoder_ready", "bundle"))
        .annotation(
            AnnotationQuery().name("Decisions").datasource(SOURCE).enable(enable=True).icon_color(BLUE).expr(DECISIONS)
        )
    )
    return _signals(_learned(_decided(made)))


def _decided(made: Dashboard) -> Dashboard:
    state = 'max(narrows_scale_servers{{state="{}"}})'
    return (
        made.with_panel(
            series(
                "Servers against streams",
                Place(0, 0, 12, 9),
                [
                    Query("max(narrows_scale_servers_wanted)", "wanted"),
                    Query(state.format("ready"), "ready"),
                    Query(state.format("starting"), "starting"),
                    Query(state.format("draining"), "draining"),
                    Query("fleet:narrows_active_streams:sum", "streams", "count:streams"),
                ],
                unit="count:servers",
                links=["Fleet"],
                about="Marks are decisions; hover for the reason.",
            )
        )
        .with_panel(
            series(
                "Load and target",
                Place(12, 0, 12, 9),
                [
                    Query("max(narrows_scale_load_ratio)", "load"),
                    Query("max(narrows_scale_target_load_ratio)", "target"),
                    Query("max(narrows_scale_late_ratio)", "late"),
                ],
                unit="percentunit",
                most=1.0,
                links=["Decoders"],
                about="Offered work over capacity; and the share of realtime frames that were late.",
            )
        )
        .with_panel(
            series(
                "Instances in each server",
                Place(0, 9, 8, 8),
                [
                    Query("max(narrows_scale_instances_wanted)", "wanted"),
                    Query("max(narrows_scale_instances)", "there"),
                ],
                unit="count:instances",
                links=["Decoders"],
                about="Instances come before servers, as far as they bring something.",
            )
        )
        .with_panel(
            series(
                "Decisions so far",
                Place(8, 9, 8, 8),
                [Query("sum by (action, reason) (narrows_scale_decisions_total) > 0", "{{action}}: {{reason}}")],
                unit="count:decisions",
                about="Since each autoscaler started; keep counts changes of the reason.",
            )
        )
        .with_panel(
            series(
                "Word of the operator, and its limits",
                Place(16, 9, 8, 8),
                [
                    Query("max(narrows_scale_frozen)", "frozen"),
                    Query("max(narrows_scale_manual)", "manual"),
                    Query("max(narrows_scale_capacity_exhausted)", "no slot"),
                    Query("sum(narrows_scale_leader)", "leaders"),
                ],
                unit="none",
                about="1 where it is so; one leads.",
            )
        )
    )


def _learned(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            series(
                "Offered and capacity",
                Place(0, 17, 8, 8),
                [
                    Query(
                        'max by (bundle) (narrows_scale_offered_frames_per_second{bundle=~"$bundle"})',
                        "{{bundle}}: offered",
                    ),
                    Query("max(narrows_scale_capacity_frames_per_second)", "capacity"),
                ],
                unit=FRAMES_PER_S,
                about="Frames a second that want a decoder, and that the servers that are ready do.",
            )
        )
        .with_panel(
            series(
                "More cameras that fit",
                Place(8, 17, 8, 8),
                [
                    Query("max(narrows_capacity_streams)", "with the servers there are"),
                    Query("max(narrows_capacity_streams_at_most)", "with all that there may be"),
                ],
                unit="count:cameras",
                about="Until the target load.",
            )
        )
        .with_panel(
            series(
                "What a server does, by instances",
                Place(16, 17, 8, 8),
                [Query("max by (instances) (narrows_server_capacity_frames_per_second)", "{{instances}}")],
                unit=FRAMES_PER_S,
                about="Frames a second, as learned.",
            )
        )
        .with_panel(
            series(
                "The line of load against streams",
                Place(0, 25, 8, 8),
                [
                    Query("max(narrows_load_line_slope)", "load a stream"),
                    Query("max(narrows_load_line_points)", "points", "count:points"),
                ],
                unit="none",
                about="The slope that the forecast rests on, and the points that it rests on.",
            )
        )
        .with_panel(
            series(
                "Looks",
                Place(8, 25, 8, 8),
                [Query("sum by (outcome) (rate(narrows_scale_rounds_total[1m]))", "{{outcome}}")],
                unit="count:rounds/s",
                about="Rounds a second by how they ended.",
            )
        )
        .with_panel(
            series(
                "What the engine did not do",
                Place(16, 25, 8, 8),
                [
                    Query(
                        "sum by (engine, kind) (increase(narrows_scale_actuation_failures_total[5m]))",
                        "{{engine}}: {{kind}}",
                    )
                ],
                unit="count:failures",
                about="Failures within 5 minutes.",
            )
        )
    )


def _signals(made: Dashboard) -> Dashboard:
    """A panel for each signal that is one number, as it is declared."""
    for number, each in enumerate(SIGNALS.values()):
        place = Place(8 * (number % 3), 33 + 8 * (number // 3), 8, 8)
        query = Query(f"max({each.metric})", each.heading)
        made = made.with_panel(series(f"Signal: {each.heading}", place, [query], unit=each.unit, about=f"{each.help}."))
    return made
