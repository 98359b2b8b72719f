"""Links between network namespaces: one for each camera, with a rate, a delay, losses and outages.

::

    camera's namespace                        the benchmark's own
    camera ─► tun, tbf (rate) ─► relay (delay) ─► tun, iptables (loss, outage) ─► Redis

Everything lives in namespaces without names, which the kernel removes with the last process in them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.uplink.traces import Trace
from narrows.contract.errors import ServiceError

_TOOLS = {"ip": "iproute2", "tc": "iproute2", "iptables": "iptables", "nsenter": "util-linux", "unshare": "util-linux"}
_ENTERED = "NARROWS_BENCH_NETWORK"
_TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_LEAST_QUEUE_BYTES, _QUEUE_S = 6000, 1.0
_CONGESTION_CONTROL = "reno"  # every kernel has it, and few segments at a time meet the same in cubic, the usual one


def enter_network(module: str) -> None:
    """Go on in a network namespace of our own, by running this program, a Python module, anew in one.

    Raises:
        ServiceError: not root, or a tool or the TUN driver is missing; the message names it.
    """
    missing = {package for tool, package in _TOOLS.items() if shutil.which(tool) is None}
    if os.geteuid() != 0:
        raise ServiceError("network namespaces need root: run it with sudo")
    if missing:
        raise ServiceError(f"missing: {', '.join(sorted(missing))} (apt-get install {' '.join(sorted(missing))})")
    if not _TUN.exists():
        raise ServiceError(f"{_TUN} is missing: this kernel has no TUN driver (modprobe tun)")
    if _ENTERED not in os.environ:
        os.environ[_ENTERED] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606
    _run("ip", "link", "set", "lo", "up")


@dataclass
class Link:
    """One camera's way to Redis.

    Attributes:
        address: where the cloud is, seen from the camera.
        enter: what a command is preceded by to run at the camera.
    """

    number: int
    trace: Trace
    address: str
    enter: tuple[str, ...]
    _rate_kbit_s: float | None = None

    def follow(self, second: int) -> None:
        """Be as the trace is in this second; the queue stays."""
        rate = self.trace.kbit_s[min(second, self.trace.length_s - 1)]
        if rate == self._rate_kbit_s:
            return
        was_away, self._rate_kbit_s = self._rate_kbit_s == 0, rate
        if rate == 0:
            _run("iptables", "-w", "-I", "INPUT", *self._arriving, "-j", "DROP")
            return
        if was_away:
            _run("iptables", "-w", "-D", "INPUT", *self._arriving, "-j", "DROP")
        queue = max(_LEAST_QUEUE_BYTES, round(rate * 125 * _QUEUE_S))
        shape = ("rate", f"{round(rate * 1000)}bit", "burst", str(self.trace.mtu + 64), "limit", str(queue))
        _run(*self.enter, "tc", "qdisc", "replace", "dev", _camera_end(self.number), "root", "tbf", *shape)

    def received_bytes(self) -> int:
        """Bytes that came over it so far."""
        for line in Path("/proc/self/net/dev").read_text().splitlines():
            name, _, counters = line.strip().partition(":")
            if name == _cloud_end(self.number):
                return int(counters.split()[0])
        return 0

    @property
    def _arriving(self) -> tuple[str, str]:
        return "-i", _cloud_end(self.number)

    def lose(self) -> None:
        """Drop packets at random, from now on."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", f"{self.trace.loss:g}")
        _run("iptables", "-w", "-A", "INPUT", *self._arriving, *chance, "-j", "DROP")


@contextmanager
def links(traces: Sequence[Trace]) -> Iterator[list[Link]]:
    """A link for each trace, at its first second; gone with the context."""
    with ExitStack() as stack:
        found, ends = [], list[str]()
        for number, trace in enumerate(traces):
            holder = stack.enter_context(_holding())
            link = Link(number, trace, f"10.77.{number}.1", ("nsenter", f"--net=/proc/{holder.pid}/ns/net"))
            fds = [_open_tun(_camera_end(number)), _open_tun(_cloud_end(number))]
            for fd in fds:
                stack.callback(os.close, fd)
            _wire(link, holder.pid)
            ends += [str(trace.one_way_s), *map(str, fds)]
            found.append(link)
        stack.enter_context(_relaying(ends))
        _run("iptables", "-w", "-F", "INPUT")
        for link in found:
            link.follow(0)
            if link.trace.loss:
                link.lose()
        yield found


def _wire(link: Link, camera_pid: int) -> None:
    near, far = _camera_end(link.number), _cloud_end(link.number)
    _run("ip", "link", "set", near, "netns", str(camera_pid))
    _run("ip", "addr", "add", f"10.77.{link.number}.1/30", "dev", far)
    _run("ip", "link", "set", far, "up", "mtu", str(link.trace.mtu))
    _run(*link.enter, "sh", "-c", f"echo {_CONGESTION_CONTROL} >/proc/sys/net/ipv4/tcp_congestion_control")
    _run(*link.enter, "ip", "link", "set", "lo", "up")
    _run(*link.enter, "ip", "addr", "add", f"10.77.{link.number}.2/30", "dev", near)
    _run(*link.enter, "ip", "link", "set", near, "up", "mtu", str(link.trace.mtu))


@contextmanager
def _holding() -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps a namespace alive; it ends when its input does, so with us."""
    process = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.read(1)  # until it has entered its namespace
        yield process
    finally:
        process.communicate()


@contextmanager
def _relaying(ends: list[str]) -> Iterator[None]:
    fds = [int(end) for index, end in enumerate(ends) if index % 3]
    script = Path(__file__).with_name("relay.py")
    process = subprocess.Popen([sys.executable, script, *ends], stdin=subprocess.PIPE, pass_fds=fds)
    try:
        yield
    finally:
        process.communicate()


def _open_tun(name: str) -> int:
    fd = os.open(_TUN, os.O_RDWR)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return fd


def _camera_end(number: int) -> str:
    return f"cam{number}"


def _cloud_end(number: int) -> str:
    return f"cloud{number}"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServiceError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
