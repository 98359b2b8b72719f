"""What happens to the stack, one scene after another; each answers its figures, and raises where it does not hold."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import redis

from benchmarks.e2e.frame_accounting import UNSEALED, journal, ledgers, mask_score
from benchmarks.e2e.stack import Stack, firing
from benchmarks.e2e.waiting import StackError, until
from narrows.contract.bundle import Bundle

Figures = dict[str, object]
LASTING = ("redis", "triton", "dispatcher", "autoscaler", "engine-proxy", "page", "prometheus", "alertmanager",
           "grafana", "redis-exporter", "cameras")  # fmt: skip
_WELL_S, _ALERT_S, _SCALE_S = 240.0, 240.0, 400.0
_LEAST_MIOU = 0.5
_OLD, _NEW = "/bundles/demo", "/bundles/next"
_TRY = (
    "import socket, sys\n"
    "for place in sys.argv[1:]:\n"
    "    host, port = place.split(':')\n"
    "    try: socket.create_connection((host, int(port)), timeout=2).close(); print(place)\n"
    "    except OSError: pass\n"
)


def begins(stack: Stack) -> Figures:
    """`up --wait` returns when masks can flow."""
    seconds = stack.up()
    miou, _ = mask_score(stack, "demo-1", 24)
    if miou < _LEAST_MIOU:
        raise StackError(f"masks have {miou:.1%} mIoU against their labels")
    return {"up_s": round(seconds, 1), "miou": round(miou, 4)}


def cameras_reach_redis_alone(stack: Stack) -> Figures:
    """Neither by name nor by address does a camera reach anything else."""
    places = ["redis:6379", "triton:8001", "dispatcher:9464", "engine-proxy:2375", "prometheus:9090"]
    for service, port in (("triton", 8001), ("dispatcher", 9464), ("engine-proxy", 2375), ("redis-exporter", 9121)):
        networks = stack.containers(service)[0]["NetworkSettings"]["Networks"].values()
        places += [f"{each['IPAddress']}:{port}" for each in networks]
    reached = stack.compose("exec", "--no-TTY", "cameras", "python", "-c", _TRY, *places).split()
    if reached != ["redis:6379"]:
        raise StackError(f"a camera reaches {', '.join(reached)}")
    return {"tried": len(places), "reached": reached}


def nobody_else_comes_in(stack: Stack) -> Figures:
    """Without TLS, a user or a seal nothing is had of Redis, and nothing of what is sent becomes a mask."""
    _redis_is_closed(stack)
    stream, place = "demo-30", "/state/demo-30"
    camera = ("edge", "--source", "/samples/images/val", "--stream-id", stream, "--state-dir", place, "--fps", "5")
    options = ("--journal", f"{place}/journal.jsonl", "--redis-url", f"file:/run/secrets/{stream}.url")
    stack.compose("run", "--rm", "--no-deps", "--no-TTY", "--entrypoint", "narrows", "cameras", *camera, *options)
    sent = sum(each["sent"] for each in journal(stack, stream))
    until(lambda: _ledger(stack, stream).get(UNSEALED, 0) >= sent, "open packets are refused", _WELL_S)
    if sent == 0 or _ledger(stack, stream).get("mask", 0):
        raise StackError(f"{sent} open packets came to {_ledger(stack, stream)}")
    return {"open_packets": sent, "refused": _ledger(stack, stream)[UNSEALED]}


def _redis_is_closed(stack: Stack) -> None:
    """By its port on the host, which is that for cameras elsewhere."""
    safe = urlsplit(stack.redis_url("viewer"))
    server = f"{safe.hostname}:{safe.port}"
    attempts = {
        "without TLS": f"redis://{server}/0",
        "without a user": f"rediss://{server}/0?{safe.query}",
        "as default": f"rediss://default:@{server}/0?{safe.query}",
        "with a wrong password": f"rediss://viewer:wrong@{server}/0?{safe.query}",
    }
    for how, url in attempts.items():
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            try:
                client.ping()
            except redis.RedisError:
                continue
        raise StackError(f"Redis answers {how}")


def decoders_follow_load(stack: Stack) -> Figures:
    """More cameras bring a second Triton, fewer take it away, through the proxy."""
    stack.settings["CAMERAS"] = "8"
    stack.up("cameras", options=("--no-deps", "--no-recreate"))
    up_s = until(lambda: stack.well("triton", 2), "a second Triton", _SCALE_S)
    stack.settings["CAMERAS"] = "2"
    stack.up("cameras", options=("--no-deps", "--no-recreate"))
    down_s = until(lambda: stack.well("triton", 1), "one Triton again", _SCALE_S)
    return {"second_after_s": round(up_s), "one_again_after_s": round(down_s)}


def each_is_killed(stack: Stack) -> Figures:
    """SIGKILL to each container's first process; it is back, and masks come."""
    if "NarrowsRestarted" in firing():
        raise StackError("NarrowsRestarted fires before the first kill")
    back_s: dict[str, float] = {}
    for service in LASTING:
        number = len(stack.containers(service))
        stack.kill(service)
        seconds = until(lambda: stack.well(service, number), f"{service} is well again", _WELL_S)  # noqa: B023
        before = _masks(stack)
        seconds += until(lambda: _masks(stack) > before, f"masks after {service}", _WELL_S)  # noqa: B023
        back_s[service] = round(seconds, 1)
    alert_s = until(lambda: "NarrowsRestarted" in firing(), "NarrowsRestarted fires", _ALERT_S)
    return {"well_again_s": back_s, "NarrowsRestarted_after_s": round(alert_s)}


def an_outage_is_told(stack: Stack) -> Figures:
    """Without a dispatcher the alert for that fires; when it is back, frames that waited end, and the alert is over."""
    name = "NarrowsDispatcherMissing"
    stack.compose("stop", "dispatcher")
    fired_s = until(lambda: name in firing(), f"{name} fires", _ALERT_S)
    stack.up("dispatcher", options=("--no-deps",))
    over_s = until(lambda: name not in firing(), f"{name} is over", _ALERT_S)
    return {"alert": name, "fires_after_s": round(fired_s), "over_after_s": round(over_s)}


def a_bundle_is_upgraded_and_rolled_back(stack: Stack) -> Figures:
    """By the commands of docs/operations.md: both served, a canary, back; nothing refused, nothing lost.

    But for frames predicted from one whose symbols the former dispatcher took with it: a key frame follows them.
    """
    folder = Path(stack.settings["BUNDLES_FOLDER"])
    new = another_bundle(folder / "demo", folder / "next")
    refused = _refused(stack)
    stack.settings["BUNDLES"] = f"{_OLD}:{_NEW}"
    stack.compose("run", "--rm", "models")
    stack.compose("run", "--rm", "engines")
    stack.up("dispatcher", options=("--no-deps",))
    named = stack.compose("exec", "--no-TTY", "dispatcher", "narrows", "streams", "canary", "--share", "0.01").split()
    stack.settings |= {"CANARY_STREAMS": " ".join(named), "CANARY_BUNDLE": _NEW, "CAMERAS": "8"}
    stack.up("cameras", options=("--no-deps",))
    miou, made_by = mask_score(stack, named[0], 24)
    others = [each.stream for each in ledgers(stack) if each.stream not in named]
    _, others_by = mask_score(stack, others[0], 4)
    stack.settings |= {"CANARY_STREAMS": "", "CANARY_BUNDLE": ""}
    stack.up("cameras", options=("--no-deps",))
    _, back_by = mask_score(stack, named[0], 4)
    old = Bundle.open(folder / "demo").hex_id
    refused_since = _refused(stack) - refused
    without_reference = refused_since.pop("refused:reference_lost", 0)
    if (made_by, others_by, back_by) != ({new}, {old}, {old}) or refused_since:
        raise StackError(f"canary by {made_by}, others by {others_by}, rolled back {back_by}: {dict(refused_since)}")
    return {"canaries": named, "canary_miou": round(miou, 4), "without_reference": without_reference}


SCENES: tuple[Callable[[Stack], Figures], ...] = (
    begins,
    cameras_reach_redis_alone,
    nobody_else_comes_in,
    decoders_follow_load,
    each_is_killed,
    an_outage_is_told,
    a_bundle_is_upgraded_and_rolled_back,
)


def bundles_in(folder: Path, source: Path) -> None:
    """The demo's bundle, where another may be put beside it."""
    shutil.copytree(source, folder / "demo")
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)


def another_bundle(source: Path, target: Path) -> str:
    """The same networks under another version, so another id; answers it."""
    shutil.copytree(source, target)
    manifest = Bundle.open(source).manifest
    (target / "manifest.json").write_bytes(replace(manifest, version=f"{manifest.version}-next").to_json())
    return Bundle.open(target).hex_id


def _ledger(stack: Stack, stream: str) -> dict[str, int]:
    return next((dict(each.ledger) for each in ledgers(stack) if each.stream == stream), {})


def _masks(stack: Stack) -> int:
    return sum(each.ledger.get("mask", 0) for each in ledgers(stack))


def _refused(stack: Stack) -> Counter[str]:
    """How many frames were refused, by reason."""
    counts: Counter[str] = Counter()
    for each in ledgers(stack):
        counts.update({name: count for name, count in each.ledger.items() if name.startswith("refused:")})
    return counts
