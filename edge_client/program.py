"""The camera's program: makes the stages of the settings, and runs frames through them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from threading import Event

import structlog

from edge_client.alive import Alive
from edge_client.capture.paced_capture import PacedCapture
from edge_client.clock import unix_ms
from edge_client.encode.objects_alone import NoEncoder, ObjectsCoder
from edge_client.encode.open import Coder, Encoder, default_level, open_encoder
from edge_client.encode.sealing import Sealing
from edge_client.encode.writing import PacketWriter
from edge_client.frame_accounting import keep_account
from edge_client.frame_loop import MAIN_BEAT_S, FrameLoop
from edge_client.frame_numbers import FrameNumbers
from edge_client.journal import EdgeJournal
from edge_client.masks.open import check_masks, open_masks
from edge_client.pipeline import Pipeline
from edge_client.planning.stage import MakePlanner, open_planning
from edge_client.progress import Progress
from edge_client.prompts.stage import open_prompts
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from edge_client.reading import Reading
from edge_client.settings import EdgeSettings
from edge_client.site.open import open_site, open_stills, serving
from edge_client.state import StateFolder
from edge_client.stats import EdgeStats, Tally
from edge_client.transport.sender import Sender, open_sender
from edge_client.transport.uplink_thread import BEAT_S
from edge_client.watchdog import systemd_watchdog
from narrows.contract.bundle import AnyBundle, SplitBundle, open_bundle
from narrows.contract.errors import BundleError, ConfigError
from narrows.contract.schedule import Planner
from narrows.contract.wire import StreamKeys
from narrows.contract.wire.frame_packet import FORMAT
from narrows.contract.wire.keys import check_stream_id
from narrows.runtime.listening import HTTP_OPTION, TOKEN_OPTION, check_exposure

_LOG = structlog.get_logger("edge")


def run(settings: EdgeSettings, stop: Event, make_planner: MakePlanner = Planner) -> EdgeStats:
    """Play a source to its end, to ``settings.frames`` sent frames, or until ``stop``; then flush and report.

    ``make_planner``: of a split network, who chooses among its designs.

    Raises:
        StreamIdInvalid, BundleError, EncoderError, StateError, SecretError, SourceError, WeightsMismatch,
            ServiceError: what the names say, each with its remedy. A Redis that is away is no error: it is waited for.
    """
    check_stream_id(settings.stream)
    if settings.http is not None:
        check_exposure(settings.http, settings.http_token, HTTP_OPTION, TOKEN_OPTION)
    bundle = open_bundle(settings.bundle)
    check_packet_format(bundle, settings.packet_format)
    sealing = None if settings.key_file is None else Sealing(settings.key_file, settings.stream, time.monotonic)
    own = Choice(_own_level(bundle, settings.level), settings.frames_per_s)
    governor = Governor(bundle.manifest, own, adaptive=settings.level is None, monotonic_s=time.monotonic)
    check_masks(settings)
    settings.site.check(prompts=settings.prompts.network is not None, sealed=sealing is not None)
    encoder, coder = _networks(settings, bundle)
    tally, watchdog = Tally(), systemd_watchdog(time.monotonic)
    beat = watchdog.loop("main", MAIN_BEAT_S)
    with ExitStack() as exits:
        capture = exits.enter_context(closing(PacedCapture.open(settings, stop, beat, tally)))
        state = exits.enter_context(StateFolder(settings.state_folder))
        journal = exits.enter_context(EdgeJournal(settings.journal, tally))
        epoch = state.next_epoch(unix_ms(), 0 if sealing is None else sealing.issued_ms)
        sealed = "open" if sealing is None else f"key {sealing.key_id}"

        def sending(keys: StreamKeys) -> None:
            _LOG.info("sending", key=keys.features, bundle=bundle.hex_id, epoch=epoch, level=own.level, sealed=sealed)

        fate = keep_account(tally, journal, Alive(settings.alive))
        uplink_beat = watchdog.loop("uplink", BEAT_S)
        prompts = open_prompts(settings.prompts)
        planning = open_planning(bundle, encoder, settings, journal.design, make_planner)
        plan = None if planning is None else (lambda: planning.explanation)
        site = open_site(settings.site, settings.state_folder, prompts)
        answers = prompts if site is None else site
        stills = open_stills(settings.site, tally, able=prompts.able)
        sender = exits.enter_context(
            open_sender(settings, fate, governor, tally, uplink_beat, sending, answers, plan, stills)
        )
        exits.enter_context(serving(settings.site, settings.stream, site, stills, lambda: sender.server_ms(unix_ms())))
        masks = exits.enter_context(open_masks(settings, bundle, governor, own.level))
        _show(settings, exits, lambda: Reading.of(tally, sender, governor, masks, prompts, planning))
        pipeline = Pipeline(
            capture=capture,
            encoder=encoder,
            coder=coder,
            writer=PacketWriter(sealing, lambda: _packet_format(bundle, settings.packet_format, sender)),
            sender=sender,
            governor=governor,
            numbers=FrameNumbers(epoch),
            tally=tally,
            masks=masks,
            prompts=prompts,
            site=site,
            stills=stills,
            objects_alone=settings.prompts.alone,
            planning=planning,
        )
        FrameLoop(pipeline, settings.frames, stop, beat, Progress(time.monotonic)).run()
    return tally.snapshot()


def _networks(settings: EdgeSettings, bundle: AnyBundle) -> tuple[Encoder, Coder]:
    """The street network and its coder, or what stands in their place."""
    if settings.prompts.alone:
        return NoEncoder(), ObjectsCoder(bundle.id)
    return open_encoder(bundle, settings.threads, settings.key_period_s, plans=settings.level is None)


def check_packet_format(bundle: AnyBundle, packet_format: int | None) -> None:
    """Whether a bundle's frames travel in the format that was asked for.

    Raises:
        ConfigError: format 1 was, and it carries latents alone.
    """
    if isinstance(bundle, SplitBundle) and packet_format == 1:
        raise ConfigError("a split network's tensors need packet format 2: leave --packet-format at auto, or say 2")


def _packet_format(bundle: AnyBundle, wanted: int | None, sender: Sender) -> int:
    """Whoever serves a split network reads format 2."""
    return FORMAT if isinstance(bundle, SplitBundle) else wanted or sender.packet_format


def _own_level(bundle: AnyBundle, level: int | None) -> int:
    levels = len(bundle.manifest.levels)
    if level is None:
        return default_level(bundle)
    if level >= levels:
        raise BundleError(f"--level {level}: bundle {bundle.hex_id} has levels 0 (finest) to {levels - 1}")
    return level


def _show(settings: EdgeSettings, exits: ExitStack, read: Callable[[], Reading]) -> None:
    """Let Prometheus see the readings, where the settings say so."""
    if settings.http is None and settings.metrics_file is None:
        return
    from edge_client.exposition import served, written  # noqa: PLC0415 -- megabytes that few cameras need
    from edge_client.health import EdgeHealth  # noqa: PLC0415
    from edge_client.metrics import EdgeMetrics  # noqa: PLC0415
    from narrows.runtime.exposure import Exposure  # noqa: PLC0415

    registry = EdgeMetrics(read).registry
    if settings.http is not None:
        exposure = Exposure(registry, EdgeHealth(settings.stream, read), settings.http_token)
        address = exits.enter_context(served(exposure, settings.http))
        _LOG.info("metrics_served", address=address)
    if settings.metrics_file is not None:
        exits.enter_context(written(registry, settings.metrics_file))
