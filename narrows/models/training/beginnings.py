"""What a training goes on from: the network of a bundle, or that of another run folder."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from narrows.contract.bundle import Bundle, is_bundle
from narrows.contract.errors import WeightsMismatch
from narrows.models.nn.network import JointNetwork
from narrows.models.training.known_classes import known_classes
from narrows.models.training.run import CHECKPOINT, load_checkpoint
from narrows.models.training.warm_start import begin_from, network_of

_CLASSIFIER = "decoder.classify."


def network_in(folder: Path, pictures: Tensor) -> JointNetwork:
    """The network of a bundle or a run folder, in evaluation mode.

    Args:
        folder: of either.
        pictures: ``(N, 3, H, W)``, normalised: they set the statistics of a bundle's batch norms.

    Raises:
        WeightsMismatch: the bundle's encoder is of another family; the folder holds no training.
    """
    return network_of(Bundle.open(folder), pictures) if is_bundle(folder) else load_checkpoint(folder / CHECKPOINT)


def go_on_from(network: JointNetwork, folder: Path, pictures: Tensor, classes: tuple[str, ...]) -> None:
    """Give ``network`` what a bundle or a run folder has; of a run for other classes all but the classifier.

    Args:
        network: to fill.
        folder: of either.
        pictures: as for :func:`network_in`.
        classes: that ``network`` is for, in their order.

    Raises:
        WeightsMismatch: it is of another shape; the folder holds no training.
    """
    if is_bundle(folder):
        begin_from(network, Bundle.open(folder), pictures, classes)
        return
    given = load_checkpoint(folder / CHECKPOINT)
    same_classes = known_classes(folder) == classes
    wanted = network.state_dict()
    kept = {name: tensor for name, tensor in given.state_dict().items() if same_classes or _CLASSIFIER not in name}
    if strange := sorted(name for name, tensor in kept.items() if _shape(wanted, name) != tensor.shape):
        raise WeightsMismatch(f"{folder} is of another network: {strange[0]} is not as here; name another --begin-from")
    network.load_state_dict(wanted | kept)


def _shape(state: dict[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(state[name].shape) if name in state else None
