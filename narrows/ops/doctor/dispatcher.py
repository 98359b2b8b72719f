"""A dispatcher's own word: ready or why not, and its load."""

from __future__ import annotations

import math
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from narrows.contract.errors import RecordError
from narrows.contract.records.readiness import Readiness
from narrows.runtime.direct import open_url
from narrows.runtime.finding import Finding, fail, ok, warn
from orchestrator.telemetry.health import LOAD, Severity

ANSWER_S = 3.0
_LOAD = re.compile(r'^narrows_decoder_load_ratio\{(?:[^}]*,)?bundle="([0-9a-f]+)"[^}]*\} (\S+)$', re.MULTILINE)
_REMEDIES = (
    ("Redis", "look at the lines on Redis"),
    ("Triton", "look at the lines on Triton and its decoders"),
    ("owns", "wait 3 s; else another dispatcher holds the leases: look at the line on leases"),
    ("stopping", "it is about to end: start another"),
    ("started again", "it is taken care of; the lines of its log with that process= say why it ended"),
)


@dataclass(frozen=True, slots=True)
class DispatcherFacts:
    """What it answers: the reasons why it is not ready, and the load of each bundle's decoder."""

    address: str
    reasons: tuple[str, ...]
    loads: dict[str, float]


def gather(address: str, token: str | None = None) -> DispatcherFacts:
    """Ask ``/readyz`` and ``/metrics``, with the token that they may ask for.

    Raises:
        PermissionError: it wants a token, or another one.
        OSError: nobody answers.
        ValueError: what answers is no dispatcher.
    """
    base = address.rstrip("/")
    base = base if "://" in base else f"http://{base}"
    status, body = _get(f"{base}/readyz", token)
    try:
        readiness = Readiness.parse(body)
    except RecordError as error:
        raise ValueError(f"/readyz answers {status} {body[:60]!r}: {error}") from None
    if status not in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE):
        raise ValueError(f"/readyz answers {status}")
    allowed, metrics = _get(f"{base}/metrics", token)
    if allowed == HTTPStatus.UNAUTHORIZED:
        raise PermissionError("it says how it is to those who bring the token: give --http-token")
    return DispatcherFacts(base, readiness.reasons, loads_in(metrics.decode("utf-8", "replace")))


def loads_in(metrics: str) -> dict[str, float]:
    """The load by bundle: what several processes offer to one adds up; NaN where none knows what a batch costs."""
    loads: dict[str, float] = {}
    for bundle, text in _LOAD.findall(metrics):
        before, value = loads.get(bundle, math.nan), float(text)
        loads[bundle] = value if math.isnan(before) else before if math.isnan(value) else before + value
    return loads


def judge(facts: DispatcherFacts) -> Iterator[Finding]:
    """A line if it is ready, or one for each reason why not; a line for each decoder's load."""
    if not facts.reasons:
        yield ok("dispatcher", f"{facts.address} is ready")
    for reason in facts.reasons:
        remedy = next((remedy for sign, remedy in _REMEDIES if sign in reason), "look at its log")
        yield fail("dispatcher", f"{facts.address} is not ready: {reason}", remedy)
    for bundle, load in facts.loads.items():
        yield judge_load(bundle, load)


def judge_load(bundle: str, load: float) -> Finding:
    """Offered work over capacity."""
    detail = f"{load:.0%} of the capacity for bundle {bundle}"
    remedy = "add Triton instances or servers, or lower the cameras' rate"
    if math.isinf(load):
        return fail("load", f"there is work for bundle {bundle} and no server that takes it", remedy)
    severity = LOAD.severity(load)
    if severity is Severity.CRITICAL:
        return fail("load", f"{detail}: realtime frames are skipped", remedy)
    return warn("load", detail, remedy) if severity is Severity.WARNING else ok("load", detail)


def _get(url: str, token: str | None) -> tuple[int, bytes]:
    if not url.startswith(("http://", "https://")):
        raise ValueError("an address begins with http:// or https://")
    try:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310
        with open_url(request, ANSWER_S) as answer:
            return answer.status, answer.read(1 << 22)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(1 << 16)
