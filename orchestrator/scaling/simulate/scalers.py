"""Policies by name, with their parameters by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from narrows.contract.errors import NarrowsError
from orchestrator.scaling.policy import PolicySettings
from orchestrator.scaling.simulate.ours import Narrows
from orchestrator.scaling.simulate.policy_name import PolicyName
from orchestrator.scaling.simulate.rivals.hpa import Hpa, HpaSettings
from orchestrator.scaling.simulate.rivals.keda import Keda, KedaSettings
from orchestrator.scaling.simulate.rivals.knative import Knative, KnativeSettings
from orchestrator.scaling.simulate.rivals.ray_serve import RayServe, RayServeSettings
from orchestrator.scaling.simulate.scaler import Scaler
from orchestrator.scaling.simulate.world import World


class ParameterError(NarrowsError):
    """A parameter that the policy does not have, or a value that it cannot have."""


Parameters = Mapping[str, float | int | str]

_SETTINGS: dict[PolicyName, type[Any]] = {
    PolicyName.NARROWS: PolicySettings,
    PolicyName.HPA: HpaSettings,
    PolicyName.KEDA: KedaSettings,
    PolicyName.RAY_SERVE: RayServeSettings,
    PolicyName.KNATIVE: KnativeSettings,
}


def make_scaler(name: PolicyName, world: World, parameters: Parameters, interval_s: float = 2.0) -> Scaler:
    """A fresh scaler.

    Args:
        name: whose.
        world: gives the bounds, and what a careful operator knows of a server.
        parameters: instead of the defaults, by the names of the policy's settings.
        interval_s: how often ours looks; the rivals have intervals of their own.

    Raises:
        ParameterError: no such parameter, or no such value.
    """
    given: dict[str, Any] = dict(parameters)
    if name is PolicyName.NARROWS:
        known = {
            "min_servers": world.min_servers,
            "max_servers": world.max_servers,
            "max_instances": len(world.instance_gains),
            "startup_s": world.startup_s,
        }
        given = known | given
    if name is PolicyName.KEDA:
        given = {"min_replicas": world.min_servers} | given
    settings = _settings(name, given)
    makers: dict[PolicyName, Callable[[], Scaler]] = {
        PolicyName.NARROWS: lambda: Narrows(settings, interval_s),
        PolicyName.HPA: lambda: Hpa(settings, world.server_frames_per_s(world.useful_instances)),
        PolicyName.KEDA: lambda: Keda(settings),
        PolicyName.RAY_SERVE: lambda: RayServe(settings, world.ceiling, world.min_servers),
        PolicyName.KNATIVE: lambda: Knative(settings),
    }
    return makers[name]()


def parse_parameter(text: str) -> tuple[str, float | int | str]:
    """``name=value``, the value as a number where it is one.

    Raises:
        ParameterError: there is no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ParameterError(f"{text!r} is no parameter; write NAME=VALUE")
    for kind in (int, float):
        try:
            return name.strip(), kind(value)
        except ValueError:
            continue
    return name.strip(), value.strip()


def _settings(name: PolicyName, given: dict[str, Any]) -> Any:  # noqa: ANN401 - one of five kinds
    kind = _SETTINGS[name]
    known = {each.name: each for each in fields(kind)}
    for parameter, value in given.items():
        if parameter not in known:
            near = difflib.get_close_matches(parameter, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}"
            raise ParameterError(f"{name} has no parameter {parameter!r}{hint}")
        if parameter == "metric":
            choices = _choices(kind)
            if value not in choices:
                raise ParameterError(f"{name}: metric is {' or '.join(choices)}, not {value!r}")
        elif isinstance(value, str):
            raise ParameterError(f"{name}: {parameter} is a number, not {value!r}")
    try:
        return kind(**given)
    except ValueError as error:
        raise ParameterError(f"{name}: {error}") from None


def _choices(kind: type[Any]) -> tuple[str, ...]:
    return get_args(get_type_hints(kind)["metric"])
