"""The streams: what waits, whether it grows, which bundles cameras send, what was refused and why."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from narrows.client.registry.rates import by_rate, top_streams
from narrows.contract.bundle import format_id
from narrows.contract.errors import PacketError, StreamIdInvalid
from narrows.contract.wire import FeaturePacket, Install, ShardKeys, shard_of
from narrows.contract.wire.frame_packet import Envelope
from narrows.contract.wire.frame_packet.header import is_frame_packet
from narrows.contract.wire.keys import PACKET_FIELD, parse_feature_key
from narrows.runtime.finding import Finding, ok, warn
from narrows.runtime.words import counted

if TYPE_CHECKING:
    from narrows.contract.records.report import StreamRates

LOOK_AGAIN_S = 1.0
SKIPPED_SHARE = 0.1
MANY_WAITING = 10
MOST_BYTES = 4 << 20
LETTERS_A_SHARD, RECENT_S = 200, 600
_BUNDLE = re.compile(r"\bbundle ([0-9a-f]{16})\b")
_REMEDIES = {
    "unknown_bundle": "serve it (`narrows orchestrate --bundle`), or give the cameras the bundle that is served",
    "shape_mismatch": "give the cameras the bundle's own encoder again",
    "sections": "upgrade the dispatchers before the cameras, or let the cameras send features",
    "no_camera_decoder": "let these cameras send features, or give them a bundle with a decoder for cameras",
    "mask_too_large": "look at what these cameras see: their masks are noise; let them send features",
    "unknown_label_table": "give the cameras the bundle's own label tables again",
    "predicted_label_map": "report the camera's program: label maps are sent as K packets",
    "clock_future": "set the cameras' clocks (NTP)",
    "schema_version": "upgrade the dispatchers before the cameras",
    "reference_lost": "nothing if they are few: a key frame was asked for; else look for dropped packets",
    "inference": "look at Triton's log",
    "poison": "keep the dead letter's head and report it: a frame that ends processes is a fault of ours",
    "outcome_refused": "raise Redis's `proto-max-bulk-len` above the size of a mask",
    "stream_id": "rename the camera: letters, digits, dot, underscore, dash",
}
_BYTES = "look what writes to these keys: the bytes are no packets of a camera, or were changed on the way"


@dataclass(frozen=True, slots=True)
class DeadLetterSummary:
    """A recent dead letter."""

    stream: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What the streams hold.

    Attributes:
        before, after: frames that wait in each stream, ``LOOK_AGAIN_S`` apart.
        strange: keys that look like a stream's and belong to none.
        sent: bundle ids by stream, of the newest packet that waits where not too much does.
        letters: dead letters of the last ten minutes; ``older`` counts those before.
        rates: of the streams that are first by one of their rates, as dispatchers report.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    strange: tuple[str, ...]
    sent: Mapping[str, int]
    letters: tuple[DeadLetterSummary, ...]
    older: int
    rates: tuple[StreamRates, ...] = ()


def gather(client: redis.Redis, install: Install) -> StreamFacts:
    """Look twice, so that growth shows.

    Raises:
        RedisError: Redis refuses.
    """
    keys, strange = _feature_keys(client, install)
    before = _lengths(client, keys)
    time.sleep(LOOK_AGAIN_S)
    letters, older = _letters(client, install)
    rates: tuple[StreamRates, ...] = ()
    with suppress(ModuleNotFoundError):
        rates = tuple(top_streams(client).values())
    sent = _bundles_sent(client, keys)
    return StreamFacts(before, _lengths(client, keys), strange, sent, letters, older, rates)


def judge(facts: StreamFacts, served: AbstractSet[int] | None) -> Iterator[Finding]:
    """Backlog, strange keys, bundles and dead letters; ``served`` is ``None`` where nobody could say."""
    yield judge_backlog(facts.before, facts.after)
    yield judge_rates(facts.rates)
    yield from judge_clocks(facts.rates)
    if facts.strange:
        shown = ", ".join(facts.strange[:3])
        yield warn(
            "keys", f"{len(facts.strange)} keys belong to no stream: {shown}", "look what writes them; delete them"
        )
    if served is not None:
        yield judge_bundles(facts.sent, facts.letters, served)
    yield from judge_letters(facts.letters, facts.older)


def judge_backlog(before: Mapping[str, int], after: Mapping[str, int]) -> Finding:
    """Whether what waits grows."""
    was, waits = sum(before.values()), sum(after.values())
    detail = f"{counted(waits, 'frame')} waiting in {counted(len(after), 'stream')}"
    if waits > was and waits >= MANY_WAITING:
        worst = max(after, key=lambda stream: after[stream] - before.get(stream, 0))
        remedy = "start more dispatchers or Triton instances, or lower the cameras' rate"
        return warn("backlog", f"{detail}, {waits - was} more than a second ago, most in {worst}", remedy)
    return ok("backlog", detail)


def judge_rates(rates: Sequence[StreamRates]) -> Finding:
    """Who sends most, and whose frames are skipped."""
    losing = by_rate(
        (each for each in rates if each.skipped_per_s > SKIPPED_SHARE * each.offered_per_s), "skipped_per_s"
    )
    if losing:
        who = ", ".join(f"{each.stream} {each.skipped_per_s:.1f} of {each.offered_per_s:.1f}" for each in losing[:3])
        remedy = (
            "one that sends far more than the others floods: lower its --fps, or give it a smaller --weight "
            "(`narrows streams set`); else more decoders are needed. All: narrows streams list --sort skipped"
        )
        return warn("busiest streams", f"frames/s skipped of those offered: {who}", remedy)
    most = ", ".join(f"{each.stream} {each.offered_per_s:.1f}" for each in by_rate(rates, "offered_per_s")[:3])
    return ok("busiest streams", f"frames/s offered: {most}" if most else "no dispatcher names any")


def judge_clocks(rates: Sequence[StreamRates]) -> Iterator[Finding]:
    """Cameras whose clocks are ahead, if there are any."""
    if ahead := by_rate(rates, "clock_ahead_per_s"):
        who = ", ".join(each.stream for each in ahead[:3])
        yield warn("camera clocks", f"{len(ahead)} ahead of the server's: {who}", _REMEDIES["clock_future"])


def judge_bundles(sent: Mapping[str, int], letters: Sequence[DeadLetterSummary], served: AbstractSet[int]) -> Finding:
    """Whether cameras send what is served."""
    unserved: dict[str, set[str]] = {}
    for stream, bundle in sent.items():
        if bundle not in served:
            unserved.setdefault(format_id(bundle), set()).add(stream)
    for letter in letters:
        if letter.reason == "unknown_bundle" and (named := _BUNDLE.search(letter.detail)):
            unserved.setdefault(named[1], set()).add(letter.stream)
    here = ", ".join(sorted(map(format_id, served))) or "none"
    if unserved:
        who = "; ".join(f"{name} by {', '.join(sorted(streams)[:3])}" for name, streams in sorted(unserved.items()))
        return warn("bundles", f"sent but not served: {who}; served: {here}", _REMEDIES["unknown_bundle"])
    return ok("bundles", f"served: {here}")


def judge_letters(letters: Sequence[DeadLetterSummary], older: int) -> Iterator[Finding]:
    """A line for each reason of the last ten minutes."""
    for reason, count in Counter(letter.reason for letter in letters).most_common():
        streams = sorted({letter.stream for letter in letters if letter.reason == reason})
        detail = f"{count} {reason} in ten minutes, of {', '.join(streams[:3])}{' ...' if len(streams) > 3 else ''}"
        yield warn("dead letters", detail, _REMEDIES.get(reason, _BYTES))
    if not letters:
        yield ok("dead letters", f"none in ten minutes, {older} older")


def _feature_keys(client: redis.Redis, install: Install) -> tuple[dict[str, str], tuple[str, ...]]:
    keys: dict[str, str] = {}
    strange: list[str] = []
    for raw in client.scan_iter(match="narrows:{*}:in:*", count=1000):
        try:
            shard, stream = parse_feature_key(raw)
        except StreamIdInvalid:
            strange.append(raw.decode("utf-8", "replace")[:80])
            continue
        if shard == shard_of(stream, install.shards):
            keys[stream] = raw.decode()
        else:
            strange.append(raw.decode()[:80])
    return keys, tuple(strange)


def _lengths(client: redis.Redis, keys: Mapping[str, str]) -> dict[str, int]:
    pipeline = client.pipeline(transaction=False)
    for key in keys.values():
        pipeline.xlen(key)
    return {
        stream: length
        for stream, length in zip(keys, pipeline.execute(raise_on_error=False), strict=True)
        if isinstance(length, int)  # a key of another type is an answer too
    }


def _bundles_sent(client: redis.Redis, keys: Mapping[str, str]) -> dict[str, int]:
    """Of streams that hold little: an entry has the size that its sender chose."""
    pipeline = client.pipeline(transaction=False)
    for key in keys.values():
        pipeline.memory_usage(key, samples=0)
    used = pipeline.execute(raise_on_error=False)
    small = {
        stream: key
        for (stream, key), size in zip(keys.items(), used, strict=True)
        if isinstance(size, int) and size <= MOST_BYTES
    }
    for key in small.values():
        pipeline.xrevrange(key, count=1)
    sent: dict[str, int] = {}
    for stream, entries in zip(small, pipeline.execute(raise_on_error=False), strict=True):
        if isinstance(entries, list) and entries:
            with suppress(PacketError):
                sent[stream] = _bundle_of(entries[0][1].get(PACKET_FIELD, b""))
    return sent


def _bundle_of(data: bytes) -> int:
    """The bundle that a packet names, if it does so itself: one of format 2 may leave it to a context.

    Raises:
        PacketError: it does not.
    """
    if not is_frame_packet(data):
        return FeaturePacket.parse(data).bundle_id
    context = Envelope.parse(data).context
    if context is None:
        raise PacketError("a packet that names a context")
    return context.bundle_id


def _letters(client: redis.Redis, install: Install) -> tuple[tuple[DeadLetterSummary, ...], int]:
    """The newest dead letters of each shard that are recent, and how many there are beside them."""
    seconds, _ = _any(client.time())
    recent: list[DeadLetterSummary] = []
    total = 0
    for shard in range(install.shards):
        key = ShardKeys(shard).dead
        total += _any(client.xlen(key))
        oldest = f"{(seconds - RECENT_S) * 1000}-0"
        entries = _any(client.xrevrange(key, min=oldest, count=LETTERS_A_SHARD))
        recent += [
            DeadLetterSummary(
                *(fields.get(name, b"?").decode("utf-8", "replace") for name in (b"stream", b"reason", b"detail"))
            )
            for _, fields in entries
        ]
    return tuple(recent), total - len(recent)


def _any(value: Any) -> Any:  # noqa: ANN401
    """redis-py types its answers for both of its clients at once."""
    return value
