"""The demo from start to end: start, play, drain, check, report."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.live import Live

from narrows.client.painting import Legend
from narrows.client.registry import StreamRegistry
from narrows.contract.bundle import Bundle
from narrows.contract.errors import DatasetError
from narrows.contract.records.frame_journal import FEATURES
from narrows.contract.wire import Policy, StreamSettings
from narrows.contract.wire.frame_packet import FORMAT
from narrows.models.evaluation import ConfusionMatrix
from narrows.ops.demo.follower import Follower
from narrows.ops.demo.journal import JournalReader
from narrows.ops.demo.options import REALTIME_STALE_MS, DemoOptions
from narrows.ops.demo.overlays import OverlayWriter, prepare_folder
from narrows.ops.demo.reel import Reel
from narrows.ops.demo.report import adds_up, exit_status, make_report, write_report
from narrows.ops.demo.stack import Camera, Stack
from narrows.ops.demo.steps import step
from narrows.ops.demo.stream_play import StreamPlay
from narrows.ops.demo.table import draw_table
from narrows.runtime.asked_to_end import hear_signals
from narrows.runtime.redis import connect, named_errors, read_install

_TICK_S = 0.25
_HEADLESS_LINE_S = 5.0
_DROP_ROOM = 256


def play(options: DemoOptions, console: Console) -> int:
    """Run the demo; answers the exit status: 0, or 1 if a frame is unaccounted for, or 130 if it was cut short.

    SIGTERM and SIGHUP end it as Ctrl-C does, with 143 and 129; on a closed terminal nothing is shown.

    Raises:
        BundleError, DatasetError: the bundle or the samples cannot be used.
        ServiceError: a part of the system is missing, does not start, or died.
    """
    begun_s = time.monotonic()
    bundle, reel = Bundle.open(options.bundle), Reel.open(options.samples)
    if bundle.manifest.classes != reel.dataset.classes.names:
        raise DatasetError(f"{options.samples} has other classes than {options.bundle}: its labels cannot score it")
    with Stack.start(bundle, options.out, console) as stack:
        prepare_folder(options.out)
        show = Show(options, stack, reel, console)
        interrupted = show.run()
        report = make_report(
            show.plays,
            wall_s=time.monotonic() - begun_s,
            triton=stack.describe_triton(),
            redis=stack.describe_redis(),
        )
        stack.keep_folder = not adds_up(report)
        if stack.keep_folder:
            console.print(f"the logs are in {stack.folder}", highlight=False, soft_wrap=True)
    status = _conclude(options, show.plays, report, console, cut_short=interrupted and options.frames is not None)
    return show.ended_by or status


class Show:
    """The cameras playing, and what is seen of it."""

    def __init__(self, options: DemoOptions, stack: Stack, reel: Reel, console: Console) -> None:
        self._options = options
        self._stack = stack
        self._console = console
        classes = reel.dataset.classes
        legend = Legend.of_bundle(options.bundle)
        every = max(1, (options.frames or round(20 * options.frames_per_s)) // 4)
        self._plays = {
            stream: StreamPlay(
                stream,
                reel,
                ConfusionMatrix(len(classes.names), classes.ignore_index),
                OverlayWriter(options.out, stream, legend, every),
            )
            for stream in options.stream_ids
        }
        self._reel = reel
        self._cameras: list[Camera] = []
        self._journals: dict[str, JournalReader] = {}
        self._begun_s = self._said_s = time.monotonic()
        self._asked: int | None = None

    @property
    def ended_by(self) -> int:
        """The exit status that SIGTERM or SIGHUP asks for; 0 if neither came."""
        return 0 if self._asked is None or self._asked == signal.SIGINT else 128 + self._asked

    @property
    def plays(self) -> Sequence[StreamPlay]:
        """Every stream's account and figures."""
        return list(self._plays.values())

    def run(self) -> bool:
        """Play until the cameras end or a signal asks, then wait until every frame has ended; answers whether one did.

        Raises:
            ServiceError: a part died.
        """
        self._register()
        if self._options.send != FEATURES:
            self._stack.allow_packet_format(FORMAT)
        self._say(f"live page: http://{self._stack.page_address}/")
        self._say(f"metrics: http://{self._stack.metrics_address}/metrics")
        self._say(
            f"in another terminal: narrows masks tail {self._options.stream_ids[0]} --redis-url {self._stack.redis.url}"
        )
        self._say(f"overlays: {self._options.out}")
        with Follower(self._stack.redis.url, self._options.stream_ids) as follower, ExitStack() as cleanup:
            self._start_cameras(cleanup)
            with Live(console=self._console, auto_refresh=False, transient=True) as live:
                with hear_signals(self._asked_to_end):
                    while self._playing() and self._asked is None:
                        self._tick(follower, live)
                self._stop_cameras()
                self._drain(follower, live)
        return self._asked is not None

    def _asked_to_end(self, number: int) -> None:
        self._asked = number
        self._console.quiet = number == signal.SIGHUP  # the terminal is closed: what is written to it fails

    def _say(self, line: str) -> None:
        self._console.print(f"  {line}", highlight=False, soft_wrap=True)

    def _register(self) -> None:
        bounded = self._options.frames is not None
        settings = StreamSettings(
            policy=Policy.COMPLETE if bounded else Policy.REALTIME, group="demo", stale_ms=REALTIME_STALE_MS
        )
        client = connect(self._stack.redis.url)
        with named_errors(self._stack.redis.url):
            registry = StreamRegistry(client, read_install(client))
            for stream in self._options.stream_ids:
                registry.set(stream, settings, who="narrows demo")

    def _start_cameras(self, cleanup: ExitStack) -> None:
        options = self._options
        with step(self._console, f"{options.streams} cameras (narrows edge)"):
            for number, stream in enumerate(options.stream_ids):
                reel_folder = self._stack.folder / stream / "reel"
                self._reel.lay_out(reel_folder, number, options.streams)
                camera = Camera.start(
                    self._stack,
                    stream,
                    reel_folder,
                    frames_per_s=options.frames_per_s,
                    frames=options.frames,
                    maxlen=_DROP_ROOM + (options.frames or 0),
                    send=options.send,
                )
                cleanup.callback(camera.stop)
                self._cameras.append(camera)
                self._journals[stream] = JournalReader(camera.journal)

    def _playing(self) -> bool:
        ended = [camera.ended() for camera in self._cameras]  # every one is looked at: each may have failed
        return not all(ended)

    def _stop_cameras(self) -> None:
        """All at once: each flushes what it still holds."""
        with ThreadPoolExecutor(len(self._cameras)) as threads:
            list(threads.map(Camera.stop, self._cameras))

    def _drain(self, follower: Follower, live: Live) -> None:
        """Go on while frames are on their way and some still end."""
        self._tick(follower, live)
        ended, progress_s = self._ended(), time.monotonic()
        while self._on_their_way() and time.monotonic() - progress_s < self._options.drain_s:
            self._tick(follower, live)
            if self._ended() > ended:
                ended, progress_s = self._ended(), time.monotonic()

    def _on_their_way(self) -> int:
        return sum(len(play.account.unaccounted) for play in self.plays)

    def _ended(self) -> int:
        return sum(len(play.account.ended) for play in self.plays)

    def _tick(self, follower: Follower, live: Live) -> None:
        self._stack.check()
        for arrival in follower.arrivals(_TICK_S):
            self._plays[arrival.stream].outcome(arrival.outcome, arrival.received_ms)
        for stream, journal in self._journals.items():
            for line in journal.read_new():
                self._plays[stream].journal(line)
        self._show(live)

    def _show(self, live: Live) -> None:
        if not self._options.headless:
            live.update(draw_table(self.plays, "Ctrl-C ends"), refresh=True)
        elif time.monotonic() - self._said_s > _HEADLESS_LINE_S:
            self._said_s = time.monotonic()
            self._say(self._progress(time.monotonic() - self._begun_s))

    def _progress(self, took_s: float) -> str:
        sent = sum(len(play.account.sent) for play in self.plays)
        masks = sum(len(play.account.masks) for play in self.plays)
        return progress_line(sent, masks, self._options.frames_in_all, took_s)


def progress_line(sent: int, masks: int, wanted: int | None, took_s: float) -> str:
    """How far a demo without a table is: of how many frames, and how long it takes at this pace."""
    if wanted is None:
        return f"{sent} sent, {masks} masks; Ctrl-C ends"
    if not masks:
        return f"{sent} of {wanted} sent, {masks} masks"
    left_s = (wanted - masks) * took_s / masks
    return f"{sent} of {wanted} sent, {masks} masks; about {max(0.0, left_s):.0f} s left"


def _conclude(
    options: DemoOptions, plays: Sequence[StreamPlay], report: dict[str, Any], console: Console, *, cut_short: bool
) -> int:
    if options.report is not None:
        write_report(report, options.report)
    latency, made_by = report["latency_ms"], report["masks_made_by"]
    console.print(draw_table(plays, f"{report['wall_s']:.0f} s in all", over_all=True))
    console.print(
        f"{report['frames_sent']} sent = {report['masks_received']} masks "
        f"({made_by['camera']} made by cameras, {made_by['cloud']} in the cloud) + "
        f"{sum(report['frames_dropped'].values())} dropped, {report['duplicates']} duplicates; "
        f"mIoU {report['miou']}, {report['bits_per_pixel']} bits per pixel, "
        f"p50/p95/p99 {latency['p50']}/{latency['p95']}/{latency['p99']} ms; Triton {report['triton']['version']}",
        highlight=False,
        soft_wrap=True,
    )
    overlays = sum(len(play.overlays.written) for play in plays)
    console.print(f"{overlays} overlays: {options.out}", highlight=False, soft_wrap=True)
    for fault in report["faults"]:
        console.print(f"[red]unaccounted[/red]  {fault}", highlight=False, soft_wrap=True)
    return exit_status(report, cut_short=cut_short)
