"""A child process that cannot outlive its owner, however the owner ends."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from weakref import WeakSet

from narrows.contract.errors import ServiceError
from orchestrator.servers import guardian

SHM_PREFIX_VARIABLE = "NARROWS_SHM_PREFIX"
_TAIL_BYTES = 16_384
_PREFIX_SUFFIX = ".shm"
_PREFIX = re.compile(r"narrows-[0-9a-f]{12}-")
_living: WeakSet[Guarded] = WeakSet()


class Guarded:
    """One guarded child process. Make it with :meth:`start`; leave it as a context manager or with :meth:`stop`.

    The child runs in a session of its own: a Ctrl-C in the terminal reaches the owner alone, who decides.

    Attributes:
        pid: the child's process id, which is also its process group's.
        log: the file that its standard output and error are appended to; ``/dev/null`` where they are this process's.
        shm_prefix: how its shared memory objects begin; it finds it in the variable ``NARROWS_SHM_PREFIX``.
    """

    def __init__(self, process: subprocess.Popen[bytes], pid: int, log: Path, shm_prefix: str) -> None:
        self.pid = pid
        self.log = log
        self.shm_prefix = shm_prefix
        self._guardian = process
        _living.add(self)

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        log: Path | None,
        environment: Mapping[str, str] | None = None,
        grace_s: float = 5.0,
        shm_prefix: str | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Start ``command`` under a guardian.

        Args:
            command: the program and its arguments.
            log: its output is appended to this file, which is made with its folder; ``None``: it goes where this
                process's goes.
            environment: variables for the child, besides those of this process.
            grace_s: seconds between SIGTERM and SIGKILL.
            shm_prefix: see the class; by default a new one, from :func:`new_shm_prefix`.
            folder: where the child works; by default where this process does.

        Raises:
            ServiceError: the program cannot be run.
        """
        prefix = shm_prefix or new_shm_prefix()
        variables = dict(environment or {}) | {SHM_PREFIX_VARIABLE: prefix}
        report_fd, their_fd = os.pipe()
        try:
            with _output(log, prefix) as output:
                words = _guardian_command(command, variables, prefix, grace_s, their_fd)
                process = _launch(words, output, their_fd, folder)
        finally:
            os.close(their_fd)
        with os.fdopen(report_fd) as report:
            kind, _, detail = report.readline().strip().partition(" ")
        if kind != "pid":
            _release(process)
            raise ServiceError(f"{command[0]} cannot be started: {detail or 'its guardian died'}{_where(log)}")
        return cls(process, int(detail), log or Path(os.devnull), prefix)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def poll(self) -> int | None:
        """The child's exit status (128 + n if signal n ended it), or ``None`` while it runs."""
        return None if self._guardian.poll() is None else _release(self._guardian)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the child to end by itself; ``None`` if it has not within the time."""
        try:
            self._guardian.wait(timeout_s)
            return self.poll()
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Have the child end: SIGTERM, and SIGKILL after the grace. Does not wait for it."""
        self._let_go()

    def kill(self) -> None:
        """SIGKILL to the child and all that it started. Does not wait for their end."""
        if self._guardian.poll() is None:  # while its guardian lives, its number is its own
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def stop(self) -> int:
        """End the child and all that it started; blocks at most the grace and a few seconds. May be repeated."""
        status = _release(self._guardian)
        if status < 0:
            self._end_without_guardian()
        return status

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log, for an error message."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _let_go(self) -> None:
        """Close our end of the guardian's pipe: where no other process has it, that is the order to end."""
        if self._guardian.stdin is not None:
            self._guardian.stdin.close()

    def _end_without_guardian(self) -> None:
        """Somebody killed the guardian itself: do its last duties here."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        guardian.unlink_shared_memory(self.shm_prefix)


def new_shm_prefix() -> str:
    """A prefix for shared memory names that no other process has."""
    return f"narrows-{secrets.token_hex(6)}-"


def clear_shared_memory(folder: Path) -> None:
    """Unlink what processes left whose logs lie in ``folder``, and whose guardians were killed too."""
    for path in folder.rglob(f"*{_PREFIX_SUFFIX}"):
        _clear(path)


def _remember(path: Path, prefix: str) -> None:
    """Write down how this process's shared memory is named, for the next one if even the guardian is killed."""
    _clear(path)
    path.write_text(prefix)


def _clear(path: Path) -> None:
    left = path.read_text(errors="replace") if path.is_file() else ""
    if _PREFIX.fullmatch(left):
        guardian.unlink_shared_memory(left)


def _guardian_command(
    command: Sequence[str | Path], variables: Mapping[str, str], prefix: str, grace_s: float, report_fd: int
) -> list[str]:
    own = [sys.executable, "-I", "-S", guardian.__file__, f"--report-fd={report_fd}", f"--grace-s={grace_s}"]
    settings = [f"--set={name}={value}" for name, value in variables.items()]
    return [*own, f"--shm-prefix={prefix}", *settings, "--", *map(str, command)]


def _output(log: Path | None, shm_prefix: str) -> AbstractContextManager[IO[bytes] | None]:
    """Where a child's output goes; beside its log it is remembered how its shared memory is named."""
    if log is None:
        return nullcontext()
    log.parent.mkdir(parents=True, exist_ok=True)
    _remember(log.with_suffix(_PREFIX_SUFFIX), shm_prefix)
    return log.open("ab")


def _where(log: Path | None) -> str:
    return "" if log is None else f" (its log is {log})"


def _launch(
    command: list[str], output: IO[bytes] | None, report_fd: int, folder: Path | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
        pass_fds=[report_fd],
        bufsize=0,
    )


def _release(process: subprocess.Popen[bytes]) -> int:
    if process.stdin is not None:
        process.stdin.close()
    return process.wait()


def _forget_in_fork() -> None:
    """A forked worker must not hold the pipes open: the guardians would not notice the owner's death."""
    for guarded in list(_living):
        guarded._let_go()  # noqa: SLF001


os.register_at_fork(after_in_child=_forget_in_fork)
