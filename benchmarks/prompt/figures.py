"""The figures of ``benchmarks/results/prompt.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table

_PROMPTS = {
    "box": "box",
    "loose-box": "loose box",
    "point": "1 point",
    "points": "3 points",
    "points-negative": "3 points, 3 beside",
}


def render(result: dict[str, Any]) -> str:
    """Floors on all things, networks on the folds that have one, one point by window, then what a network costs."""
    head = ["prompt", "by", "things", "IoU, source", "95 %", "IoU, crop", "boundary F", "filled", "ellipse", "GrabCut"]
    parts = [table(head, [_row(row) for row in result["rows"]])]
    if result["networks"]:
        judged = ", ".join(_trained(by, result["networks"]) for by in _names(result["networks"]))
        parts.append(f"Networks: {judged}. Rows of networks count the things of their folds, floors all.")
    else:
        parts.append("No fold has a trained network yet (`make train-prompt`): floors and GrabCut alone.")
    if result["gains"]:
        parts.append("What a teacher is worth: IoU in source pixels that `taught` has over `float` of the same folds.")
        parts.append(table(["prompt", "things", "gain", "95 %"], [_gain(row) for row in result["gains"]]))
    if result["windows"]:
        parts.append("One point, looked at once, by float networks:")
        head = ["window's side", "things", "IoU, source", "IoU, crop"]
        parts.append(table(head, [_window(row) for row in result["windows"]]))
    if result["network"] is not None:
        parts.append(table(["of the network", ""], _costs(result["network"])))
        if shares := result["network"]["passes_by_share"]:
            parts.append("One pass of the int8 graph, by the probe of `narrows bench-device`:")
            parts.append(table(["of a core", "processor ms", "latency ms"], [_share_of_core(row) for row in shares]))
    return "\n\n".join(parts)


def _row(row: dict[str, Any]) -> list[str]:
    interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
    names = ("iou_crop", "boundary_f", "fill_box", "ellipse", "grabcut")
    return [
        _PROMPTS[row["prompt"]],
        row["by"],
        str(row["instances"]),
        _share(row["iou"]),
        interval,
        *(_share(row[name]) for name in names),
    ]


def _names(networks: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(network["by"] for network in networks))


def _trained(by: str, networks: list[dict[str, Any]]) -> str:
    told = ", ".join(f"{each['fold']} ({each['epochs']} epochs)" for each in networks if each["by"] == by)
    return f"`{by}` of folds {told}"


def _gain(row: dict[str, Any]) -> list[str]:
    interval = f"{row['low']:+.3f} to {row['high']:+.3f}"
    return [_PROMPTS[row["prompt"]], str(row["instances"]), f"{row['gain']:+.3f}", interval]


def _share_of_core(row: dict[str, float]) -> list[str]:
    return [f"{row['share']:g}", f"{row['processor_ms']:.1f}", f"{row['latency_ms']:.1f}"]


def _window(row: dict[str, Any]) -> list[str]:
    return [row["window"], str(row["instances"]), _share(row["iou"]), _share(row["iou_crop"])]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _costs(network: dict[str, Any]) -> list[list[str]]:
    return [
        ["parameters", f"{network['parameters']:,}"],
        ["multiply-accumulates a pass", f"{network['macs'] / 1e6:.0f} M"],
        ["int8 ONNX file", f"{network['int8_file_bytes']:,} bytes"],
        ["weights, biases, multipliers", f"{network['weight_bytes']:,} bytes"],
        ["activations at their peak", f"{network['peak_bytes']:,} bytes, at {network['peak_step']}"],
        ["arena of a simple allocator", f"{network['arena_bytes']:,} bytes"],
        ["operators", ", ".join(f"{count} {name}" for name, count in network["operators"].items())],
        ["processor time a box, float / int8", f"{network['float_box_ms']} / {network['int8_box_ms']} ms"],
        ["processor time a point, 2 to 5 passes", f"{network['float_point_ms']} / {network['int8_point_ms']} ms"],
    ]
