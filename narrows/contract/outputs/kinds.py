"""The kinds of output that this build knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from narrows.contract.errors import BundleError
from narrows.contract.outputs.boxes import Boxes
from narrows.contract.outputs.heatmaps import Heatmaps
from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.labels import Labels
from narrows.contract.outputs.objects import ObjectMasks
from narrows.contract.outputs.output import Output
from narrows.contract.outputs.scores import Scores

KINDS: Mapping[str, OutputKind] = {kind.name: kind for kind in (Labels(), Scores(), ObjectMasks(), Heatmaps(), Boxes())}
MOST_OUTPUTS = 32
_INPUTS = ("symbols", "level")


def kind_of(output: Output) -> OutputKind:
    """The kind of an output.

    Raises:
        BundleError: this build does not know it.
    """
    kind = KINDS.get(output.kind)
    if kind is None:
        raise BundleError(
            f"output {output.name} is of kind {output.kind!r}; this build knows {', '.join(KINDS)}: upgrade it"
        )
    return kind


def check_outputs(outputs: Sequence[Output]) -> None:
    """Refuse a bundle's outputs where one of them, or all together, make no sense.

    Raises:
        BundleError: none or too many, a name that stands twice or is an input's, or one that its kind refuses.
    """
    if not 1 <= len(outputs) <= MOST_OUTPUTS:
        raise BundleError(f"a bundle has 1 to {MOST_OUTPUTS} outputs, not {len(outputs)}")
    taken = list(_INPUTS)
    for output in outputs:
        if output.name in taken:
            raise BundleError(f"the decoder has two tensors named {output.name!r}")
        taken.append(output.name)
        kind_of(output).check_declared(output)
