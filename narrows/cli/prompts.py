"""``narrows prompts``: point at things that a camera outlines and follows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import json, to_builtins

from narrows.cli.group import command_group
from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl
from narrows.cli.saying import say
from narrows.runtime.surroundings import caller
from narrows.runtime.words import counted
from narrows.runtime.writing import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from narrows.client.registry import PromptRegistry, PromptsSeen
    from narrows.contract.records.prompts import SourcePrompt

_PIPED_WIDTH = 140

prompts = command_group("Point at things that a camera outlines and follows; list and remove what was pointed at.")
Camera = Annotated[str, typer.Argument(help="The camera's stream id, for example cam-1.")]
By = Annotated[str | None, typer.Option("--by", help="Who asks, for the audit.", show_default="USER@HOST")]
IfVersion = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Change the list only if it has this version (`narrows prompts list`): what another operator did "
        "meanwhile is an error then.",
        show_default="the one that is there",
    ),
]


@prompts.command("add")
def add_prompt(
    camera: Camera,
    *,
    box: Annotated[str | None, typer.Option(help="x,y,width,height in pixels of the camera's picture.")] = None,
    point: Annotated[list[str] | None, typer.Option(help="x,y on the thing, or x,y,- beside it; repeat.")] = None,
    size: Annotated[
        str | None,
        typer.Option(help="WIDTHxHEIGHT of the picture that it is meant in.", show_default="what the camera said last"),
    ] = None,
    hours: Annotated[float, typer.Option(help="It expires after so many hours, 720 at most.")] = 8.0,
    replace: Annotated[int | None, typer.Option(min=1, help="Take the place of this prompt.")] = None,
    if_version: IfVersion = None,
    by: By = None,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Have a camera (`narrows edge --prompts FILE.onnx`) outline a thing on every frame, and follow it.

    A box, points on the thing, or both; points beside it (`x,y,-`) take away. At most 16 prompts a camera. An audit
    event is kept.

    Example: narrows prompts add cam-1 --box 120,80,200,150

    Example: narrows prompts add cam-1 --point 200,140 --point 90,60,- --hours 1
    """
    from narrows.runtime.prompting.parsing import parse_prompt, parse_size
    from narrows.runtime.prompting.states import in_words

    wanted = parse_prompt(box, point or ())
    source = None if size is None else parse_size(size)
    with _registry(redis_url) as registry:
        made = registry.add(
            camera,
            wanted,
            who=caller(by),
            source=source,
            lifetime_s=hours * 3600,
            replaced=replace,
            if_version=if_version,
        )
        seen = registry.look(camera)
    print(f"{camera}: prompt {made.id}, version {made.version}, of {made.width}x{made.height}")
    state = seen.state_of(made)
    if state != "waiting":
        print(f"{camera}: {in_words(state)}", file=sys.stderr)


@prompts.command("list")
def list_prompts(
    camera: Camera,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a prompt instead of a table.")] = False,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Show what a camera is asked to outline, what became of each prompt, and how often each is looked at.

    Example: narrows prompts list cam-1
    """
    with _registry(redis_url) as registry:
        seen = registry.look(camera)
    if as_json:
        for prompt in seen.prompts:
            extra = {"state": seen.state_of(prompt), "frames_per_s": seen.rate_of(prompt), "list": seen.version}
            print(json.encode({"camera": camera} | to_builtins(prompt) | extra).decode())
        return
    _print_table(camera, seen)


@prompts.command("remove")
def remove_prompt(
    camera: Camera,
    prompt: Annotated[int, typer.Argument(min=1, help="Its id, as `narrows prompts list` shows it.")],
    *,
    if_version: IfVersion = None,
    by: By = None,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Have a camera leave a thing alone. An audit event is kept.

    Example: narrows prompts remove cam-1 3
    """
    with _registry(redis_url) as registry:
        registry.remove(camera, prompt, who=caller(by), if_version=if_version)
    print(f"{camera}: prompt {prompt} removed")


@prompts.command("still")
def take_still(
    camera: Camera,
    *,
    out: Annotated[Path, typer.Option(help="Where to write the JPEG.", show_default="CAMERA.jpg")] = Path(),
    by: By = None,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
) -> None:
    """Ask a camera for a still picture, to see what to point at: where its site allows it (`narrows edge --stills`).

    It is small, shows the source picture whole, and is gone after a minute. Who asked and looked is in the audit.

    Example: narrows prompts still cam-1 --out gate.jpg
    """
    import time

    from narrows.client.registry import StillRegistry
    from narrows.client.registry.stills import EXPIRED, StillSeen
    from narrows.contract.errors import StillRefused

    who = caller(by)
    with _registry(redis_url) as prompting:
        registry = StillRegistry(prompting.client, prompting.install)
        asked_ms = registry.ask(camera, who=who).asked_ms
        while not (seen := registry.look(camera, asked_ms)).left_s and not seen.over:
            time.sleep(0.5)
        found = None if seen.over else registry.picture(camera, asked_ms, who=who)
    if found is None:
        raise StillRefused((seen if seen.over else StillSeen(EXPIRED)).in_words(camera))
    path = Path(f"{camera}.jpg") if out == Path() else out
    write_file(path, found.jpeg)
    print(f"{path}: {len(found.jpeg):,} bytes, of a picture of {found.still.width}x{found.still.height}")


def _registry(redis_url: str) -> AbstractContextManager[PromptRegistry]:
    from contextlib import closing, contextmanager

    from narrows.client.registry import PromptRegistry
    from narrows.runtime.redis import connect, named_errors, read_install

    @contextmanager
    def opened() -> Iterator[PromptRegistry]:
        with closing(connect(redis_url)) as client, named_errors(redis_url):
            yield PromptRegistry(client, read_install(client))

    return opened()


def _print_table(camera: str, seen: PromptsSeen) -> None:
    from rich.table import Table

    from narrows.cli.tables import fill, show
    from narrows.runtime.prompting.states import in_words

    if not seen.prompts:
        able = seen.fault or "point at a thing with `narrows prompts add`, or on the live page"
        say(f"{camera}: no prompts, version {seen.version}; {able}")
        return
    table = Table(title=f"{camera}: {counted(len(seen.prompts), 'prompt')}, version {seen.version}")
    for heading in ("id", "points at", "picture", "state", "frames/s", "expires in", "set by"):
        table.add_column(heading, justify="right" if heading in {"id", "frames/s"} else "left")
    rows = (
        (
            str(prompt.id),
            _pointed(prompt),
            f"{prompt.width}x{prompt.height}",
            in_words(seen.state_of(prompt)),
            f"{seen.rate_of(prompt):.1f}",
            f"{(prompt.expires_ms - seen.now_ms) / 3_600_000:.1f} h",
            prompt.who or "-",
        )
        for prompt in seen.prompts
    )
    show(fill(table, rows), _PIPED_WIDTH)


def _pointed(prompt: SourcePrompt) -> str:
    box = prompt.box
    parts = [] if box is None else [f"box {box.x:g},{box.y:g},{box.width:g},{box.height:g}"]
    parts += [f"{point.x:g},{point.y:g}{'' if point.positive else ',-'}" for point in prompt.points]
    return " ".join(parts)
