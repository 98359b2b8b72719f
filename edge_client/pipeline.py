"""A frame's whole way through the camera's program, top to bottom.

::

    source ──► pacer ──► fit ──► encoder.onnx ──► quantise, silence, code ──► seal ──► outbox ──► uplink ──► Redis
                 ▲                                       ▲                                │          │
                 └───────── governor ◄───────────────────┴─── acknowledgements, control record ──────┘
                                                                                          └─► old ones dropped, counted

The main thread encodes; the uplink's thread sends and reads the control record; a live camera has a thread of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from threading import Event

import structlog

from edge_client.alive import Alive
from edge_client.capture.camera_watch import CameraWatch
from edge_client.capture.sources import CameraSource, is_live, open_source
from edge_client.clock import unix_ms
from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from edge_client.encode.sealing import Sealing
from edge_client.frame_loop import FLUSH_S, FrameLoop, LoopWatch
from edge_client.journal import EdgeJournal
from edge_client.rate.backpressure import Room
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from edge_client.reading import Reading
from edge_client.settings import EdgeSettings
from edge_client.spool import Spool
from edge_client.state import StateFolder
from edge_client.stats import EdgeStats, Tally
from edge_client.transport.install import wait_for_shards
from edge_client.transport.link import AWAY_S, connect
from edge_client.transport.outbox import Fate, FrameRecord, Outbox
from edge_client.transport.questions import Questions
from edge_client.transport.server_clock import ServerClockEstimate
from edge_client.transport.spooled_outbox import SPOOL_DAMAGED, SpooledOutbox
from edge_client.transport.uplink import BEAT_S, Uplink
from edge_client.watchdog import systemd_watchdog
from narrows.contract.bundle import Bundle
from narrows.contract.errors import BundleError
from narrows.contract.wire import StreamKeys
from narrows.contract.wire.keys import check_stream_id
from narrows.runtime.listening import HTTP_OPTION, TOKEN_OPTION, check_exposure

_LOG = structlog.get_logger("edge")
DEFAULT_BITS_PER_PIXEL = 0.1


def run(settings: EdgeSettings, stop: Event) -> EdgeStats:
    """Play a source to its end, to ``settings.frames`` sent frames, or until ``stop``; then flush and report.

    Raises:
        StreamIdInvalid, BundleError, EncoderError, StateError, SecretError, SourceError, ServiceError: what the names
            say, each with its remedy. A Redis that is away is no error: it is waited for.
    """
    check_stream_id(settings.stream)
    if settings.http is not None:
        check_exposure(settings.http, settings.http_token, HTTP_OPTION, TOKEN_OPTION)
    bundle = Bundle.open(settings.bundle)
    sealing = None if settings.key_file is None else Sealing(settings.key_file, settings.stream, time.monotonic)
    own = Choice(_own_level(bundle, settings.level), settings.frames_per_s)
    governor = Governor(bundle.manifest, own, adaptive=settings.level is None, monotonic_s=time.monotonic)
    encoder = OnnxEncoder(bundle, settings.threads)
    tally, watchdog = Tally(), systemd_watchdog(time.monotonic)
    camera = CameraWatch(time.monotonic, tally.camera, live=is_live(settings.source))
    watch = LoopWatch(watchdog, camera)
    with (
        closing(_source(settings, stop, watch)) as source,
        StateFolder(settings.state_folder) as state,
        EdgeJournal(settings.journal, tally) as journal,
        ExitStack() as exits,
    ):
        epoch = state.next_epoch(unix_ms(), 0 if sealing is None else sealing.issued_ms)
        shards = settings.shards or _ask_for_shards(settings.redis_url, stop, watch.beat)
        if shards is not None:
            keys = StreamKeys.of(settings.stream, shards)
            client = connect(settings.redis_url, away_s=None if settings.keeps_all else AWAY_S)
            spool = exits.enter_context(closing(_spool(settings, tally))) if settings.spool_mb else None
            outbox = _outbox(settings, _fates(journal, tally, Alive(settings.alive)), spool)
            room = Room(keys.features, settings.maxlen) if spool is not None else None
            beat = watchdog.loop("uplink", BEAT_S)
            clock = ServerClockEstimate(time.monotonic, time.time)
            follows = settings.shards is None
            questions = Questions(keys, clock, tally, time.monotonic, room, follows_install=follows)
            uplink = Uplink(client, keys, settings.maxlen, outbox, questions, governor, tally, time.monotonic, beat)
            _show(settings, exits, lambda: _reading(tally, uplink, outbox, clock, governor))
            sealed = "open" if sealing is None else f"key {sealing.key_id}"
            _LOG.info("sending", key=keys.features, bundle=bundle.hex_id, epoch=epoch, level=own.level, sealed=sealed)
            coder = FrameCoder(bundle, settings.key_period_s)
            FrameLoop(
                settings,
                stop,
                source,
                encoder,
                coder,
                governor,
                epoch,
                outbox,
                uplink,
                questions,
                tally,
                watch,
                sealing,
            ).play()
    return tally.snapshot()


def _source(settings: EdgeSettings, stop: Event, watch: LoopWatch) -> CameraSource:
    rate = settings.frames_per_s
    return open_source(settings.source, loop=settings.loop, stop=stop, waiting=watch.waits, frames_per_s=rate)


def _ask_for_shards(redis_url: str, stop: Event, beat: Callable[[], None]) -> int | None:
    with closing(connect(redis_url, answer_s=FLUSH_S)) as client:
        return wait_for_shards(client, stop, beat)


def _reading(tally: Tally, uplink: Uplink, outbox: Outbox, clock: ServerClockEstimate, governor: Governor) -> Reading:
    frames, size_bytes = outbox.on_disk
    link = governor.reading
    return Reading(
        stats=tally.snapshot(),
        trouble=uplink.trouble,
        clock=clock.local_offset(),
        spool_frames=frames,
        spool_bytes=size_bytes,
        goodput_bytes_per_s=link.goodput_bytes_per_s,
        round_trip_s=link.base_s,
    )


def _show(settings: EdgeSettings, exits: ExitStack, read: Callable[[], Reading]) -> None:
    """Let Prometheus see the readings, where the settings say so."""
    if settings.http is None and settings.metrics_file is None:
        return
    from edge_client.exposition import served, written  # noqa: PLC0415 -- megabytes that few cameras need
    from edge_client.metrics import EdgeMetrics  # noqa: PLC0415

    registry = EdgeMetrics(read).registry
    if settings.http is not None:
        address = exits.enter_context(served(registry, settings.http, settings.http_token))
        _LOG.info("metrics_served", address=address)
    if settings.metrics_file is not None:
        exits.enter_context(written(registry, settings.metrics_file))


def _spool(settings: EdgeSettings, tally: Tally) -> Spool:
    limit_bytes = int(settings.spool_mb * 1e6)

    def lost(frames: int) -> None:
        tally.dropped(SPOOL_DAMAGED, frames)

    spool = Spool(settings.state_folder / "spool", limit_bytes, settings.spool_keep, time.monotonic, lost)
    tally.resumed(spool.resumed)
    if spool.resumed:
        _LOG.info("spool_resumed", frames=spool.resumed, bytes=spool.size_bytes)
    return spool


def _outbox(settings: EdgeSettings, fate: Fate, spool: Spool | None) -> Outbox:
    if spool is not None:
        return SpooledOutbox(settings.queue, fate, spool)
    return Outbox(settings.queue, fate, most_age_s=math.inf if settings.keeps_all else settings.max_age_s)


def _own_level(bundle: Bundle, level: int | None) -> int:
    levels = len(bundle.manifest.levels)
    if level is None:
        return bundle.manifest.finest_level_within(DEFAULT_BITS_PER_PIXEL)
    if level >= levels:
        raise BundleError(f"--level {level}: bundle {bundle.hex_id} has levels 0 (finest) to {levels - 1}")
    return level


def _fates(journal: EdgeJournal, tally: Tally, alive: Alive) -> Callable[[FrameRecord, str | None], None]:
    def fate(record: FrameRecord, reason: str | None) -> None:
        if reason is None:
            tally.sent(record.size_bytes)
            if record.latency is not None:
                tally.arrived(record.latency.value_s)
            alive.sent()
        else:
            tally.dropped(reason)
        journal.frame(record, reason)

    return fate
