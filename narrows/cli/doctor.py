"""``narrows doctor``: what is wrong, and what to do."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.options import HttpToken
from narrows.runtime.words import printable

if TYPE_CHECKING:
    from narrows.runtime.finding import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    context: typer.Context,
    *,
    redis_url: Annotated[
        str | None,
        typer.Option(
            envvar="NARROWS_REDIS_URL",
            help="The install's Redis; given, it must answer.",
            show_default="redis://127.0.0.1:6379/0 if it answers",
        ),
    ] = None,
    triton: Annotated[
        str | None,
        typer.Option(
            envvar="NARROWS_TRITON",
            help="Triton's gRPC address, or what `narrows orchestrate --triton` takes; given, it must answer.",
            show_default="127.0.0.1:8001 if it answers",
        ),
    ] = None,
    orchestrator: Annotated[
        list[str] | None,
        typer.Option(
            envvar="NARROWS_ORCHESTRATOR",
            help="A dispatcher's --http address; repeatable; given, it must answer.",
            show_default="http://127.0.0.1:9464 if it answers",
        ),
    ] = None,
    bundle: Annotated[
        list[Path] | None,
        typer.Option(
            envvar="NARROWS_BUNDLE",
            help="Bundle that should be served; repeatable.",
            show_default="bundles/demo if it is there",
        ),
    ] = None,
    http_token: HttpToken = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Say what is wrong with this machine or this stack, and what to do: a line each, ok, warn or fail.

    Exits with 1 if anything fails. Nothing is written or changed; a ready decoder gets a few frames of zeros to decode.

    Example: narrows doctor

    Example: narrows doctor --redis-url redis://cloud:6379/0 --triton cloud:8001 --orchestrator http://cloud:9464

    Example: narrows doctor --json --config narrows.toml
    """
    from narrows.cli.sections import all_keys
    from narrows.contract.errors import ConfigError
    from narrows.ops.doctor.examine import Patient, examine
    from narrows.runtime.config import Configuration

    patient = Patient(
        redis_url=redis_url,
        triton=triton,
        orchestrators=tuple(orchestrator or ()),
        http_token=http_token,
        bundles=tuple(bundle or ()),
        configuration=context.obj if isinstance(context.obj, Configuration | ConfigError) else Configuration(),
        environment=os.environ,
        variables=frozenset(key.variable for key in all_keys()),
    )
    findings = []
    for finding in examine(patient):
        findings.append(finding)
        if not as_json:
            _print(finding)
    failed = sum(finding.level == "fail" for finding in findings)
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=1))
    else:
        warned = sum(finding.level == "warn" for finding in findings)
        print(f"{failed} failed, {warned} warned, {len(findings) - failed - warned} are well")
    raise typer.Exit(1 if failed else 0)


def _print(finding: Finding) -> None:
    level = f"{finding.level:5}"
    shown = typer.style(level, fg=_COLOURS[finding.level], bold=True) if sys.stdout.isatty() else level
    remedy = f" -> {finding.remedy}" if finding.remedy else ""
    one_line = " ".join(f"{finding.detail}{remedy}".split())
    print(shown, printable(f"{finding.subject:16} {one_line}"), flush=True)
