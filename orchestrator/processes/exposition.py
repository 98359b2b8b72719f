"""The expositions of several processes as one, in Prometheus' text format. Pure.

Each process keeps its own series, told apart by the label ``process``, and PromQL adds them up. They are not added up
here: a counter that begins anew with one process would take its share out of the sum, and ``rate()`` would see all that
the others ever counted once more.

The text is merged as it is. The client library's parser finds the same (``tests/unit/processes``), and takes tens of
milliseconds for a dispatcher's 50 KB, at every scrape of every process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LABEL = "process"
_END_OF_NAME = re.compile(r"[{ ]")


@dataclass(slots=True)
class _Family:
    """What HELP and TYPE say of a metric, and its samples: a format that wants them together."""

    head: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


def merged(own: str, of: Mapping[str, str]) -> str:
    """One exposition.

    Args:
        own: the supervisor's, whose samples stay as they are.
        of: by process, as ``prometheus_client.generate_latest`` writes it; its samples get the label ``process``.
    """
    families: dict[str, _Family] = {}
    for name, head, samples in _families(own):
        families[name] = _Family(head, samples)
    for process, text in of.items():
        for name, head, samples in _families(text):
            family = families.setdefault(name, _Family(head))
            family.samples += [_labelled(sample, process) for sample in samples]
    return "".join(f"{line}\n" for family in families.values() for line in (*family.head, *family.samples))


def _families(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Name, comments and samples of each family: ``# HELP`` begins one."""
    name, head, samples = "", list[str](), list[str]()
    for line in text.split("\n"):
        if line.startswith("# HELP "):
            if name:
                yield name, head, samples
            name, head, samples = line.split(" ", 3)[2], [line], []
        elif line.startswith("#"):
            head.append(line)
        elif line:
            samples.append(line)
    if name:
        yield name, head, samples


def _labelled(sample: str, process: str) -> str:
    """``name{a="b"} 1`` with one label more, ``name 1`` with its first."""
    end = _END_OF_NAME.search(sample)
    if end is None:
        raise ValueError(f"{sample[:80]!r} is no sample of Prometheus' text format")
    name, rest = sample[: end.start()], sample[end.start() :]
    label = f'{LABEL}="{process}"'
    return f"{name}{{{label},{rest[1:]}" if rest.startswith("{") else f"{name}{{{label}}}{rest}"
