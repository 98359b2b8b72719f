"""The few kinds of panels that the dashboards are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.common import (
    AxisPlacement,
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="prometheus")
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
FRAMES_PER_S = "count:frames/s"
"""A unit of Grafana's own form ``count:NAME``: a number, with K and M if it is large, and its name behind it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel lies: the grid is 24 wide."""

    x: int
    y: int
    w: int
    h: int

    def grid(self) -> dashboard.GridPos:
        """As Grafana has it."""
        return dashboard.GridPos(h=self.h, w=self.w, x=self.x, y=self.y)


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and what its series are called.

    Attributes:
        unit: where it is not the panel's: the series then have the axis on the right.
    """

    expression: str
    legend: str = ""
    unit: str | None = None


def series(
    title: str,
    place: Place,
    queries: Sequence[Query],
    *,
    unit: str,
    about: str,
    most: float | None = None,
    links: Sequence[str] = (),
) -> timeseries.Panel:
    """Values over time; ``most`` draws a line at what should not be passed, ``links`` are titles of dashboards."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .grid_pos(place.grid())
        .unit(unit)
        .min(0)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .targets([_target(letter, query) for letter, query in zip(ascii_uppercase, queries, strict=False)])
        .links([link_to(name) for name in links])
    )
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        if query.unit is not None:
            panel.override_by_query(
                letter, [setting("unit", query.unit), setting("custom.axisPlacement", AxisPlacement.RIGHT)]
            )
    if most is not None:
        style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        panel.thresholds(steps((None, GREEN), (most, RED))).thresholds_style(style)
    return panel


def number(
    title: str,
    place: Place,
    expression: str,
    *,
    unit: str,
    about: str,
    limits: build.ThresholdsConfig | None = None,
    decimals: int | None = None,
    links: Sequence[str] = (),
) -> stat.Panel:
    """One figure, its recent course behind it."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .grid_pos(place.grid())
        .unit(unit)
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE if limits else BigValueColorMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .targets([_target("A", Query(expression, title))])
        .links([link_to(name) for name in links])
    )
    if limits is not None:
        panel.thresholds(limits)
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def firing_alerts(title: str, place: Place, about: str) -> build.Panel:
    """The alerts that Prometheus holds as pending or firing, the most severe first."""
    shown = {"firing": True, "pending": True, "error": True, "noData": False, "normal": False}
    return (
        build.Panel()
        .type("alertlist")
        .title(title)
        .description(about)
        .grid_pos(place.grid())
        .options({"viewMode": "list", "datasource": "Prometheus", "maxItems": 20, "sortOrder": 3, "stateFilter": shown})
    )


def steps(*limits: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Colours from values on; the first has no value."""
    thresholds = [dashboard.Threshold(value, color) for value, color in limits]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(thresholds)


def table_target(letter: str, expression: str) -> prometheus.Dataquery:
    """A query whose values come as a column ``Value #LETTER``, to be joined with others by time."""
    return _target(letter, Query(expression)).format(PromQueryFormat.TABLE)


def label_variable(name: str, label: str, metric: str, of: str) -> build.QueryVariable:
    """A choice among the values of a label; all by default."""
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({metric}, {of})")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(dashboard.VariableOption(selected=True, text="All", value="$__all"))
    )


def link_to(name: str) -> build.DashboardLink:
    """A link from a panel to another dashboard, of the same time range."""
    return (
        build.DashboardLink(f"Narrows / {name}")
        .type(dashboard.DashboardLinkType.LINK)
        .url(f"/d/{uid_of(name)}?${{__url_time_range}}")
    )


def uid_of(name: str) -> str:
    """The fixed id of a dashboard, by its title."""
    return f"narrows-{name.lower()}"


def board(name: str, about: str) -> build.Dashboard:
    """An empty dashboard with links to the others."""
    link = build.DashboardLink("Narrows").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["narrows"])
    return (
        build.Dashboard(f"Narrows / {name}")
        .uid(uid_of(name))
        .description(about)
        .tags(["narrows"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(link.keep_time(keep_time=True).include_vars(include_vars=False))
    )


def setting(name: str, value: object) -> dashboard.DynamicConfigValue:
    """One setting of an override."""
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def _target(letter: str, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).datasource(SOURCE).expr(query.expression).range()
    return target.legend_format(query.legend) if query.legend else target
