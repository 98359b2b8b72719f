"""The list of commands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, what it does in a line; a module holds a function or Typer of that name, `-` as `_`.

    Attributes:
        alone: of a configuration file it reads its own section alone, so that the declarations of other programs, and
            what those load, stay out of its process.
    """

    name: str
    summary: str
    alone: bool = False

    @property
    def module(self) -> str:
        """Where the command lives."""
        return f"narrows.cli.{self.attribute}"

    @property
    def attribute(self) -> str:
        """What it is called there."""
        return self.name.replace("-", "_")


COMMANDS = (
    Command("demo", "Play sample streams through the whole system on this machine, and watch."),
    Command("doctor", "Say what is wrong with this machine or this stack, and what to do."),
    Command("local-redis", "Run a Redis server of this machine, for trying things out."),
    Command("edge", "Run the camera's side: capture, encode, send features."),
    Command("advise", "Measure what this device could send over a link, and say what it should."),
    Command("bench-device", "Measure networks on a device: latency, memory, energy, heat, time of each operator."),
    Command("orchestrate", "Run the cloud's side: admit, decode, batch to Triton, publish masks."),
    Command("supervise", "Keep Triton servers on this host, as many as the autoscaler wants."),
    Command(
        "engine-proxy", "Stand between the autoscaler and the Docker socket, and let one service be scaled.", alone=True
    ),
    Command("autoscale", "Have as many decoders as the streams need, and say why."),
    Command("scale", "Show what the autoscaler does; set servers, freeze, unfreeze."),
    Command("page", "Serve the live page in a browser: load, streams and their masks."),
    Command("masks", "Follow a stream's masks."),
    Command("streams", "List, set and remove the settings of streams."),
    Command("prompts", "Point at things that a camera outlines and follows; list and remove what was pointed at."),
    Command("keys", "Make, issue, rotate and revoke the keys that packets are sealed with."),
    Command("config", "Show what the configuration file and the environment say."),
    Command("train", "Train a model on a labelled folder."),
    Command("search", "Search a weak camera's network for a device: latency measured there, memory, accuracy."),
    Command("compress", "Make a bundle smaller: prune it, train it as int8, taught by what it was."),
    Command("pseudo-label", "Label pictures with a trained network, where it is sure."),
    Command("export", "Turn a checkpoint into a bundle and a model repository."),
    Command("evaluate", "Measure a bundle: mIoU and bits per pixel, through the real coder."),
    Command("promptable", "Outline one thing that is pointed at: train, export, evaluate, segment."),
    Command("compare", "Show what was measured of joint decoding and its rivals, as one page."),
    Command("bundle", "Look into a bundle."),
    Command("split", "Split any ONNX network between camera and cloud: where, and at what cost."),
    Command("head", "Train, add, remove and list a bundle's heads: further outputs from the same symbols."),
    Command("simulate-scaling", "Say what a scaling policy would do with a trace of streams."),
)
