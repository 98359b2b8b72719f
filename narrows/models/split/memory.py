"""How much memory the activations of a head take at most, by the lifetimes of its tensors."""

from __future__ import annotations

from collections.abc import Collection

from narrows.models.split.network import Network


def head_memory_bytes(network: Network, head: frozenset[int], crossing: Collection[str]) -> int:
    """The most bytes of live tensors at once, its weights not counted, nodes run in order and nothing in place.

    A tensor lives from the node that makes it to the last in the head that reads it, what crosses to the end.
    """
    last_read = {
        name: max((place for place in readers if place in head), default=-1)
        for name, readers in network.readers.items()
    }
    alive = {network.input.name: network.input.size_bytes}
    most = 0
    for place in sorted(head):
        alive |= {name: network.tensors[name].size_bytes for name in network.nodes[place].outputs}
        most = max(most, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if name in crossing or last_read[name] > place}
    return most


def weights_bytes(network: Network, places: frozenset[int]) -> int:
    """What some nodes read beside tensors."""
    return sum(network.nodes[place].weights_bytes for place in places)
