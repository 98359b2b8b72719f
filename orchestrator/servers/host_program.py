"""The supervisor of a host as a process: options in, a folder of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

import structlog

from narrows.contract.bundle import Bundle, ServedModel, models_of, open_bundle
from narrows.contract.errors import ServiceError
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.loop_guard import LoopGuard
from narrows.runtime.redis.store import Store
from narrows.runtime.run_program import run_program
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.servers.cpu_quota import find_hierarchy
from orchestrator.servers.host_registry import HostRegistry
from orchestrator.servers.local_triton import LocalTriton
from orchestrator.servers.own_folder import own_folder
from orchestrator.servers.repository_keeper import RepositoryKeeper
from orchestrator.servers.slot_server import SlotServer
from orchestrator.servers.supervisor import Supervisor
from orchestrator.servers.triton_environment import TritonEnvironment

_log = structlog.get_logger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PORTS_EACH = 3
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The options of ``narrows supervise``.

    Attributes:
        bundles: laid out in a model repository of the run folder, which follows their heads, unless
            ``model_repository`` is given.
        models: the models of ``model_repository`` to load; those of the bundles besides.
        cpu_quota: cores for each server; ``None``: no limit.
        first_port: three ports for each slot from here on; ``None``: free ones.
    """

    redis_url: str
    name: str
    bundles: tuple[Path, ...]
    model_repository: Path | None
    models: tuple[str, ...]
    slots: int
    cpu_quota: float | None
    initial: int
    instances: int
    max_batch: int
    first_port: int | None
    drain_s: float
    run_folder: Path
    log_level: str


def run_host(options: HostOptions) -> None:
    """Run until SIGTERM or SIGINT; a second one ends the draining.

    Raises:
        BundleError, ServiceError: it cannot begin; the message says why.
    """
    hurry = asyncio.Event()
    run_program(lambda stop: _run(options, stop, hurry), options.log_level, hurry=hurry)


def _check(options: HostOptions) -> None:
    if not _NAME.fullmatch(options.name):
        raise ServiceError(
            f"--name {options.name[:80]!r}: use 1-64 of A-Z a-z 0-9 . _ - and begin with a letter or digit"
        )
    if options.initial > options.slots:
        raise ServiceError(f"--initial {options.initial} servers do not fit in --max-servers-per-host {options.slots}")
    if not options.bundles and not (options.model_repository and options.models):
        raise ServiceError("nothing to serve: give --bundle, or --model-repository and --model")
    if options.first_port and options.first_port + _PORTS_EACH * options.slots - 1 > _LAST_PORT:
        raise ServiceError(f"--first-port {options.first_port}: {options.slots} slots need {_PORTS_EACH} ports each")


@dataclass(frozen=True)
class _Repository:
    """Where the servers' models lie.

    Attributes:
        names: of the models to load.
        followed: the bundles in it whose heads we fill in as they change.
    """

    folder: Path
    names: Sequence[str]
    followed: Sequence[Bundle]
    fill: Callable[[ServedModel], object]


def _repository(options: HostOptions, folder: Path) -> _Repository:
    repository = options.model_repository or folder / "model_repository"
    models = [model for path in options.bundles for model in models_of(open_bundle(path))]
    names = [*options.models, *(model_name(model.id) for model in models)]
    own = models if options.model_repository is None else []
    fill = partial(fill_repository, repository=repository, max_batch=options.max_batch, instances=options.instances)
    for model in own:
        fill(model)
    return _Repository(repository, names, [model for model in own if isinstance(model, Bundle)], fill)


def _slot(options: HostOptions, folder: Path, repository: _Repository, number: int, groups: ExitStack) -> SlotServer:
    launcher: Sequence[str] = ()
    group = None
    if options.cpu_quota is not None:
        group = find_hierarchy().group(f"narrows-{options.name}-{number}", options.cpu_quota)
        groups.callback(group.remove)
        launcher = group.launcher
    first = None if options.first_port is None else options.first_port + _PORTS_EACH * number
    ports = None if first is None else (first, first + 1, first + 2)

    def launch(given_up: Event) -> LocalTriton:
        return LocalTriton.start(
            repository.folder,
            folder / f"slot-{number}",
            repository.names,
            ports=ports,
            launcher=launcher,
            given_up=given_up,
        )

    return SlotServer(f"{options.name}/{number}", launch, group)


async def _run(options: HostOptions, stop: asyncio.Event, hurry: asyncio.Event) -> None:
    _check(options)
    TritonEnvironment.find()
    folder = options.run_folder / options.name
    with own_folder(folder, "another supervisor", "--name or --run-folder"), ExitStack() as groups:
        repository = _repository(options, folder)
        slots = [_slot(options, folder, repository, i, groups) for i in range(options.slots)]
        store = Store.connect(options.redis_url)
        registry = HostRegistry(store, options.name)
        supervisor = Supervisor(registry, slots, initial=options.initial, drain_s=options.drain_s)
        _log.info("supervisor_started", name=options.name, slots=len(slots), cpu_quota=options.cpu_quota)
        keeper = RepositoryKeeper(repository.followed, repository.fill)
        keeping = asyncio.create_task(LoopGuard().keep("repository", keeper.run))
        try:
            await supervisor.run(stop, hurry)
        finally:
            await cancel_all([keeping])
            await store.close()
    _log.info("supervisor_stopped")
