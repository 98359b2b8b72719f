"""What became of a prompt, in words for people: what it is, and what to do about it."""

from __future__ import annotations

_WORDS = {
    "waiting": "waiting: the camera has not looked yet",
    "lost": "lost: looked for where it was last",
    "not_answered": "no answer yet: is the camera running, with --prompts, and its link up?",
    "asleep": "the camera sleeps, or has no link: it will see the prompt when it is back",
    "no_network": "the camera cannot: start it with `narrows edge --prompts FILE.onnx`",
    "packet_format": "the camera cannot: `narrows streams packet-format 2` first",
    "source_too_large": "the camera cannot: its picture is too large",
    "source_changed": "the picture has another size by now: point again",
    "invalid": "points at nothing in the camera's picture",
    "removed_on_site": "taken away on the camera's site",
    "no_room": "the camera has 16 others",
}


def in_words(state: str) -> str:
    """A state as it is told; one of a later release as it is named."""
    return _WORDS.get(state, state.replace("_", " "))
