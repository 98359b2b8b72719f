"""The keys that a file may have: one for each option of each program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from typer.models import OptionInfo

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file.

    Attributes:
        section, name: where it stands, ``fps`` in ``[edge]``.
        parameter: the command's parameter that it sets.
        kind: the type of one value: ``bool``, ``int``, ``float``, ``str`` or ``Path``.
        choices: the only values, if there are few.
        many: whether it is a list of such values.
        lowest, highest: bounds of a number.
        variable: the environment variable that outranks the file.
        default: what holds without it; :data:`REQUIRED` if the command cannot do without.
        absent: what happens where the default is ``None``, in words.
        help: what it is, in a line.
        hidden: whether it is a former name, which is taken and not shown.
    """

    section: str
    name: str
    parameter: str
    kind: type
    choices: tuple[str, ...]
    many: bool
    lowest: float | None
    highest: float | None
    variable: str
    default: Any
    absent: str
    help: str
    hidden: bool = False

    @property
    def has_default(self) -> bool:
        """Whether the command can do without it."""
        return self.default is not REQUIRED

    def __str__(self) -> str:
        return f"[{self.section}] {self.name}"

    @property
    def expects(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            one = "one of " + ", ".join(self.choices)
        elif self.lowest is not None or self.highest is not None:
            one = f"{_KINDS[self.kind]} {_bounds(self.lowest, self.highest)}"
        else:
            one = _KINDS[self.kind]
        return f"a list, each {one}" if self.many else one


def keys_of(section: str, function: Callable[..., object]) -> Iterator[Key]:
    """The keys of a command whose options are annotated as Typer reads them; arguments have none."""
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if get_origin(parameter.annotation) is not Annotated:
            continue
        annotation, *notes = get_args(parameter.annotation)
        for option in notes:
            if isinstance(option, OptionInfo):
                yield _key(section, parameter, annotation, option)


def _key(section: str, parameter: inspect.Parameter, annotation: object, option: OptionInfo) -> Key:
    kind, many = _kind(annotation)
    choices = tuple(kind) if issubclass(kind, StrEnum) else ()
    automatic = f"NARROWS_{section}_{parameter.name}".upper().replace("-", "_")
    return Key(
        section=section,
        name=_name(parameter.name, option),
        parameter=parameter.name,
        kind=str if choices else kind,
        choices=tuple(map(str, choices)),
        many=many,
        lowest=option.min,
        highest=option.max,
        variable=option.envvar if isinstance(option.envvar, str) else automatic,
        default=parameter.default,
        absent=option.show_default if isinstance(option.show_default, str) else "",
        help=option.help or "",
        hidden=option.hidden,
    )


def _name(parameter: str, option: OptionInfo) -> str:
    """The option's long name; Typer keeps the first declared one in ``default``."""
    declared = [option.default, *(option.param_decls or ())]
    long = [each for each in declared if isinstance(each, str) and each.startswith("--")]
    return long[0].removeprefix("--") if long else parameter.replace("_", "-")


def _kind(annotation: object) -> tuple[type, bool]:
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not NoneType)
    if get_origin(annotation) is list:
        return get_args(annotation)[0], True
    if not isinstance(annotation, type):
        raise TypeError(f"an option of type {annotation!r}: teach narrows.runtime.config what it looks like in a file")
    return annotation, False


def _bounds(lowest: float | None, highest: float | None) -> str:
    if highest is None:
        return f"of at least {lowest:g}"
    return f"up to {highest:g}" if lowest is None else f"from {lowest:g} to {highest:g}"
