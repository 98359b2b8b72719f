"""``narrows simulate-scaling``: a trace of streams through a scaling policy, ours or another's, without machines."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.written_paths import file_to_write
from narrows.runtime.writing import write_file
from orchestrator.scaling.simulate.policy_name import PolicyName


def simulate_scaling(
    trace: Annotated[Path, typer.Option(help="CSV with the columns time_s, streams, fps; a row holds until the next.")],
    policy: Annotated[PolicyName, typer.Option(help="Who decides.")] = PolicyName.NARROWS,
    json: Annotated[Path | None, typer.Option(callback=file_to_write, help="Write the result here as JSON.")] = None,
    startup_s: Annotated[float, typer.Option(min=0, help="From asking for a server until it takes work.")] = 20.0,
    drain_s: Annotated[float, typer.Option(min=0, help="From sending a server away until its slot is free.")] = 10.0,
    frame_cost_ms: Annotated[
        float, typer.Option(min=1e-6, help="A server's time for a frame, in full batches.")
    ] = 12.5,
    lone_cost: Annotated[
        float, typer.Option(min=1, max=8, help="What a frame alone costs, as a multiple of that.")
    ] = 3.0,
    complete_share: Annotated[float, typer.Option(min=0, max=0.99, help="Share of streams that are complete.")] = 0.2,
    noise: Annotated[float, typer.Option(min=0, max=1, help="Standard deviation of rates and costs, a share.")] = 0.03,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 1,
    min_replicas: Annotated[int, typer.Option(min=0, help="Servers at least.")] = 1,
    max_replicas: Annotated[int, typer.Option(min=1, help="Servers at most.")] = 10_000,
    slots: Annotated[int | None, typer.Option(min=0, help="Servers that fit.", show_default="no limit")] = None,
    interval_s: Annotated[float, typer.Option(min=0.1, help="How often our policy looks.")] = 2.0,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE: a setting of the policy, by its own name; may be repeated.")
    ] = None,
) -> None:
    """Say what a policy would do with a trace: SLO violations, replica-hours, decisions, the worst backlog.

    Example: narrows simulate-scaling --trace monday.csv --policy narrows --json out.json

    Example: narrows simulate-scaling --trace monday.csv --policy hpa --parameter target=0.6
    """
    from orchestrator.scaling.simulate.run import simulate
    from orchestrator.scaling.simulate.scalers import make_scaler, parse_parameter
    from orchestrator.scaling.simulate.trace import read_trace
    from orchestrator.scaling.simulate.world import World

    if min_replicas > max_replicas:
        raise typer.BadParameter(f"{min_replicas} is above --max-replicas {max_replicas}", param_hint="--min-replicas")
    world = World(
        frame_s=frame_cost_ms / 1000,
        lone_cost=lone_cost,
        startup_s=startup_s,
        drain_s=drain_s,
        complete_share=complete_share,
        noise=noise,
        seed=seed,
        min_servers=min_replicas,
        max_servers=max_replicas,
        slots=slots,
    )
    parameters = dict(parse_parameter(each) for each in parameter or [])
    scaler = make_scaler(policy, world, parameters, interval_s)
    outcome = asdict(simulate(read_trace(trace), world, scaler))
    del outcome["course"]
    text = json_format.dumps(
        {"policy": policy.value, "trace": str(trace), "parameters": parameters} | outcome, indent=2
    )
    typer.echo(text)
    if json is not None:
        write_file(json, text + "\n")
