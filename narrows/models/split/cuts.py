"""Every cut of a network that is worth a look: for each tensor, the fewest bytes at which it crosses.

A cut is a set of tensors through one of which every way from the input to an output goes. The head makes them, the
tail begins with them; each crosses once, however many read it. There are more cuts than atoms in a camera, so for each
tensor the one of fewest bytes is found among those at which that tensor crosses: a minimum cut, as DADS (Hu et al.
2019) does it for one. Where a tensor is a cut by itself, that is what is found. Where a smaller tensor crosses instead
of what one chain of nodes makes of it (dequantised, enlarged), both sides run that chain.

::

    input ─► a ─┬─► b ─► c ─┬─► d ─► output      between the single-tensor cuts (a, d) lies a block;
                └───► e ────┘                    minimum cuts within it, by maximum flow
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from narrows.contract.errors import CutUnknown
from narrows.models.split.network import Network, Tensor

_SOURCE, _SINK = -1, -2
"""In a flow graph nodes of the network are their places, tensors their names."""
_BYTES = 1 << 20
"""Capacity of a byte; a tensor adds 1, so that of two cuts of the same bytes that of fewer tensors is found."""


@dataclass(frozen=True)
class Cut:
    """What crosses, and what that leaves to do on either side.

    Attributes:
        tensors: what crosses, in the order in which it is made.
        head: places in ``Network.nodes`` of what makes them.
        tail: of what makes the outputs of them; some may be in both.
        head_macs: multiply-accumulates of the head.
        tail_macs: of the tail.
    """

    tensors: tuple[Tensor, ...]
    head: frozenset[int]
    tail: frozenset[int]
    head_macs: int
    tail_macs: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what crosses."""
        return tuple(tensor.name for tensor in self.tensors)

    @property
    def size_bytes(self) -> int:
        """Bytes that cross as the network has them."""
        return _size_bytes(self.tensors)

    def bytes_at(self, precision_bits: int) -> int:
        """Bytes that cross, packed, where at most so many bits are spent on a number."""
        return sum((tensor.values * tensor.bits_at(precision_bits) + 7) // 8 for tensor in self.tensors)


def find_cuts(network: Network) -> tuple[Cut, ...]:
    """Every cut with work on both sides, from the input to the outputs; none twice."""
    found = {cut.names: cut for names in _crossings(network) if (cut := _cut(network, names)).head and cut.tail}
    return tuple(sorted(found.values(), key=lambda cut: (len(cut.head), cut.names)))


def cut_at(network: Network, names: Collection[str]) -> Cut:
    """The cut at which these tensors cross. A name with commas in it may have been taken apart at them.

    Raises:
        CutUnknown: they do not part the network, there is nothing to do on one side, or the tail would make one of
            them again: beside another that the same node makes, and that does not cross.
    """
    names = _joined(network, list(names))
    if all(name in network.tensors for name in names):
        cut = _cut(network, names)
        again = {name for place in cut.tail for name in network.nodes[place].outputs}.intersection(names)
        if cut.head and cut.tail and not again and network.needed(network.outputs, names)[1] == set(names):
            return cut
    asked = ", ".join(filter(None, names)) or "no tensor"
    raise CutUnknown(f"{asked} of {network.name} do not part it: `narrows split profile` lists cuts")


def _joined(network: Network, parts: Sequence[str]) -> list[str]:
    """Parts that only together are a tensor's name as that name, the longest first; all others as they are."""
    found: list[str] = []
    place = 0
    while place < len(parts):
        ends = range(len(parts), place + 1, -1)
        wholes = ((end, mark.join(parts[place:end])) for end in ends for mark in (",", ", "))
        end, name = next((each for each in wholes if each[1] in network.tensors), (place + 1, parts[place]))
        found.append(name)
        place = end
    return found


def _cut(network: Network, names: Collection[str]) -> Cut:
    head, _ = network.needed(names)
    tail, _ = network.needed(network.outputs, names)
    macs = [sum(network.nodes[place].macs for place in side) for side in (head, tail)]
    return Cut(tuple(tensor for name, tensor in network.tensors.items() if name in names), head, tail, *macs)


def _crossings(network: Network) -> Iterator[frozenset[str]]:
    """Of each cut what crosses; some come twice."""
    borders = [-1, *(place for place, _ in _single(network)), len(network.nodes) - 1]
    yield from (frozenset({name}) for _, name in _single(network))
    for before, after in pairwise(borders):
        if after - before > 1:
            yield from _within(network, before + 1, after)


def _single(network: Network) -> list[tuple[int, str]]:
    """Tensors that are a cut by themselves, each with the place of its maker.

    All that is not needed for such a tensor needs it, so its cut is a prefix of any topological order.
    """
    last_read = {name: max(readers, default=-1) for name, readers in network.readers.items()}
    last_read |= dict.fromkeys(network.outputs, len(network.nodes))
    waiting, found = {network.input.name}, []
    for place, node in enumerate(network.nodes):
        waiting |= set(node.outputs)
        waiting = {name for name in waiting if last_read[name] > place}
        if len(waiting) == 1 and place < len(network.nodes) - 1:
            found.append((place, next(iter(waiting))))
    return found


@dataclass(frozen=True)
class _Chain:
    """Tensors of which each but the first is made of the one before alone: a cut crosses one of them, or none.

    Attributes:
        maker: the place of the node that makes the first, or ``_SOURCE``, where that is before the block.
        tensors: in order.
        readers: the places of those that read the last; ``_SINK`` where it is needed after the block.
    """

    maker: int
    tensors: tuple[Tensor, ...]
    readers: tuple[int, ...]

    @property
    def cheapest(self) -> Tensor:
        """The tensor of fewest bytes; of several the last, for what has been rectified is coded in fewer bits."""
        return min(reversed(self.tensors), key=lambda tensor: tensor.size_bytes)


def _within(network: Network, first: int, last: int) -> Iterator[frozenset[str]]:
    """The minimum cuts through the tensors that are made by the nodes of a block, ``first`` to ``last``."""
    chains = list(_chains(network, first, last))
    graph = _flow_graph(chains)
    for chain in chains:
        others = min((_beside(graph, chains, chain, reader) for reader in chain.readers), key=_size_bytes)
        yield from (frozenset({tensor.name, *(other.name for other in others)}) for tensor in chain.tensors)


def _beside(graph: nx.DiGraph, chains: Sequence[_Chain], chain: _Chain, reader: int) -> tuple[Tensor, ...]:
    """What crosses with a chain at fewest bytes, if its maker is in the head and this reader in the tail."""
    ends = [(_SOURCE, chain.maker), (reader, _SINK)]
    added = [edge for edge in ends if edge[0] != edge[1] and not graph.has_edge(*edge)]
    graph.add_edges_from(added)  # an edge without a capacity holds any flow
    _, (head, _) = nx.minimum_cut(graph, _SOURCE, _SINK, flow_func=nx.algorithms.flow.boykov_kolmogorov)
    graph.remove_edges_from(added)
    return tuple(
        other.cheapest
        for other in chains
        if other is not chain and other.maker in head and not head.issuperset(other.readers)
    )


def _size_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.size_bytes for tensor in tensors)


def _chains(network: Network, first: int, last: int) -> Iterator[_Chain]:
    """All tensors that are read within a block, or made in it, as chains."""
    seen: set[str] = set()
    for name in network.tensors:
        maker = network.maker.get(name, _SOURCE)
        readers = _readers(network, name, first, last)
        inside = first <= maker <= last
        if name in seen or maker > last or not (inside or any(first <= reader for reader in readers)):
            continue
        tensors = [name] if inside else [*_made_of(network, name), name]
        while following := _continuation(network, readers):
            tensors.append(following)
            readers = _readers(network, following, first, last)
        seen.update(tensors)
        yield _Chain(maker if inside else _SOURCE, tuple(network.tensors[each] for each in tensors), readers)


def _made_of(network: Network, name: str) -> list[str]:
    """Tensors before a block from which one chain of nodes makes this one and nothing else, value by value.

    So of a residual block behind a dequantisation the int8 tensor crosses beside the others. A chain that sums up, as a
    convolution does, is not worth running on both sides.
    """
    found: list[str] = []
    while (place := network.maker.get(name)) is not None:
        node = network.nodes[place]
        if not len(node.inputs) == len(node.outputs) == 1 or node.macs > network.tensors[name].values:
            break
        (name,) = node.inputs
        if name in network.outputs or len(network.readers[name]) > 1:
            break
        found.insert(0, name)
    return found


def _readers(network: Network, name: str, first: int, last: int) -> tuple[int, ...]:
    inside = tuple(place for place in network.readers[name] if first <= place <= last)
    beyond = name in network.outputs or any(place > last for place in network.readers[name])
    return (*inside, _SINK) if beyond else inside


def _continuation(network: Network, readers: tuple[int, ...]) -> str | None:
    """What the only reader makes of the tensor alone."""
    if len(readers) != 1 or readers[0] == _SINK:
        return None
    node = network.nodes[readers[0]]
    return node.outputs[0] if len(node.inputs) == len(node.outputs) == 1 else None


def _flow_graph(chains: Iterable[_Chain]) -> nx.DiGraph:
    """A chain is an edge of its fewest bytes, from its maker to where its readers take it."""
    graph = nx.DiGraph()
    graph.add_nodes_from((_SOURCE, _SINK))
    for chain in chains:
        name = chain.tensors[0].name
        graph.add_edge(chain.maker, name, capacity=chain.cheapest.size_bytes * _BYTES + 1)
        graph.add_edges_from((name, reader) for reader in chain.readers)
        if chain.maker != _SOURCE:  # where a reader is in the head, its maker is
            graph.add_edges_from((reader, chain.maker) for reader in chain.readers if reader != _SINK)
    return graph
