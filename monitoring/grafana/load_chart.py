"""Load against streams: a point for each moment, the line that the autoscaler fitted, and where it reaches a load of 1.

The load is offered work over the *present* capacity, so that points and line agree when decoders come and go.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, xychart
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.xychart import SeriesMapping, XYShowMode

from monitoring.grafana.panels import SOURCE, Place, link_to, setting, table_target

_SLOPE = "scalar(max(narrows_load_line_slope @ end()))"
_INTERCEPT = "scalar(max(narrows_load_line_intercept @ end()))"
_CAPACITY = f"(1 - {_INTERCEPT}) / {_SLOPE}"
_ALONG = f"vector(1.1 * {_CAPACITY} * (time() * 1000 - $__from) / ($__to - $__from))"  # from none to past the capacity
_QUERIES = {
    "streams": "fleet:narrows_active_streams:sum",
    "load": "max(sum by (instance) (narrows_scale_offered_frames_per_second))"
    " / scalar(max(narrows_scale_capacity_frames_per_second @ end()))",
    "streams on the line": _ALONG,
    "fitted": f"{_INTERCEPT} + {_SLOPE} * {_ALONG}",
    "streams that fit": f"vector({_CAPACITY})",
    "capacity": "vector(1)",
}


def load_chart(place: Place) -> xychart.Panel:
    """The first thing to look at."""
    letters = dict(zip("ABCDEF", _QUERIES, strict=True))
    names = {f"Value #{letter}": name for letter, name in letters.items()}
    return (
        xychart.Panel()
        .title("GPU load against streams")
        .description(
            "Offered work over the capacity of the decoders that there are now. The line is fitted by the autoscaler; "
            "where it reaches 1 is the capacity. Without an autoscaler there are no points."
        )
        .datasource(SOURCE)
        .grid_pos(place.grid())
        .targets([table_target(letter, _QUERIES[name]) for letter, name in letters.items()])
        .transformations(
            [
                dashboard.DataTransformerConfig(id_val="joinByField", options={"byField": "Time", "mode": "outer"}),
                dashboard.DataTransformerConfig(id_val="organize", options={"renameByName": names}),
            ]
        )
        .mapping(SeriesMapping.MANUAL)
        .series(
            [
                _series("load", "streams", "load"),
                _series("fitted line", "streams on the line", "fitted"),
                _series("capacity", "streams that fit", "capacity"),
            ]
        )
        .links([link_to("Autoscaler"), link_to("Decoders")])
        .axis_label("load")
        .unit("percentunit")
        .min(0)
        .override_by_name(
            "streams", [setting("unit", "count:streams"), setting("custom.axisLabel", "streams"), setting("min", 0)]
        )
        .override_by_name("load", [_color("blue")])
        .override_by_name(
            "fitted", [setting("custom.show", XYShowMode.LINES), setting("custom.lineWidth", 2), _color("green")]
        )
        .override_by_name("capacity", [setting("custom.pointSize", {"fixed": 14}), _color("red")])
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
    )


def _series(name: str, x: str, y: str) -> xychart.XYSeriesConfig:
    return (
        xychart.XYSeriesConfig()
        .name(xychart.XychartXYSeriesConfigName().fixed(name))
        .frame(xychart.XychartXYSeriesConfigFrame().matcher(xychart.MatcherConfig().id("byIndex").options(0)))
        .x(xychart.XychartXYSeriesConfigX().matcher(xychart.MatcherConfig().id("byName").options(x)))
        .y(xychart.XychartXYSeriesConfigY().matcher(xychart.MatcherConfig().id("byName").options(y)))
    )


def _color(name: str) -> dashboard.DynamicConfigValue:
    return setting("color", {"mode": "fixed", "fixedColor": name})
