"""What a bundle's decoder answers with: a tuple of outputs, each of a kind that this build knows.

::

    kind.py      the interface: what a kind checks, packs and unpacks
    output.py    one output as a bundle declares it
    kinds.py     the table of kinds
    labels/      a class for each pixel, uint8 (H, W)
    scores/      numbers of the whole picture, float32 (n,)
    objects/     masks of the things that an operator points at, which cameras make
    heatmaps/    a number for each place of each channel, float32 (C, H, W)
    boxes/       a row for each thing that was looked for, float32 (n, columns)
    floats.py    how heat maps and boxes become bytes

To add a kind, add its folder and its line in ``kinds.py``; Triton's configuration, the slots' memory and the dispatcher
follow the declaration.
"""

from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.kinds import KINDS, check_outputs, kind_of
from narrows.contract.outputs.output import DTYPES, Output, OutputValue

__all__ = ["DTYPES", "KINDS", "Output", "OutputKind", "OutputValue", "check_outputs", "kind_of"]
