"""Whether torch computes a network as ONNX Runtime does: node by node, on one picture, before anything is trained.

The table of operators knows what networks commonly say, and an attribute that it does not know would be passed over in
silence: what is trained then is another network than the one that is shipped. So each node is given what it has in ONNX
Runtime, and held against what it gives there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import NotTrainable
from narrows.models.bottleneck.pruning import with_outputs
from narrows.models.bottleneck.trainable import Trainable
from narrows.models.split.halves import Runner, Values
from narrows.models.split.network import Network, Node
from narrows.runtime.words import first_line

_CLOSE = 1e-3
"""Of the largest value."""
_REFUSALS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What torch, and the table, raise of what they do not take."""


def check_computed(network: Network, tensor: str, feed: Values) -> None:
    """See that every node on the way to a tensor is computed as it stands.

    Raises:
        NotTrainable: one is not; the message names it.
    """
    trainable = Trainable(network, [tensor], {})
    places = sorted(network.needed([tensor])[0])
    nodes = [network.nodes[place] for place in places]
    seen = Runner(with_outputs(network.model, [node.outputs[0] for node in nodes]), optimised=False)(feed)
    for node in nodes:
        try:
            made = trainable.made_by(node, seen)
        except NotTrainable:
            raise
        except _REFUSALS as error:
            raise NotTrainable(f"{_called(node)} is not taken as it stands: {first_line(error)}") from None
        if not _alike(made, seen[node.outputs[0]], 1 if node.operator == "QuantizeLinear" else 0):
            raise NotTrainable(f"{_called(node)} is computed otherwise here than by ONNX Runtime: it cannot be trained")


def _called(node: Node) -> str:
    return f"node {node.name or node.index} ({node.operator})"


def _alike(made: NDArray[Any], wanted: NDArray[Any], steps: int) -> bool:
    """``steps``: by which whole numbers may differ."""
    if made.shape != wanted.shape:
        return False
    known = wanted.astype(np.float64)
    largest = float(np.abs(known[np.isfinite(known)]).max(initial=0.0))
    return bool(np.allclose(made, known, rtol=0.0, atol=steps + _CLOSE * largest, equal_nan=True))
