"""A network for weak cameras whose cameras send features, as the two halves that a bundle is exported from.

In the other designs of :mod:`narrows.models.nn.weak_designs` cameras send labels, which the cloud's decoder needs
beside the symbols; a bundle's decoder reads symbols alone.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from narrows.contract.errors import ConfigError
from narrows.models.export.halves import Halves
from narrows.models.nn.cloud_decoder import CloudDecoder
from narrows.models.nn.weak import grid_at4
from narrows.models.nn.weak_designs import Camera, Design, WeakNetwork


def halves_of(network: WeakNetwork) -> Halves:
    """The camera's half and the cloud's.

    Raises:
        ConfigError: its cameras send labels.
    """
    if network.design is not Design.FEATURES or network.gains is None or network.cloud is None:
        raise ConfigError(
            f"a network of the design {network.design.value} is no bundle: its cloud reads labels beside symbols, or "
            f"nothing; export one of the design {Design.FEATURES.value}"
        )
    return Halves(_Latent(network.camera), network.gains, _Masks(network.cloud))


class _Latent(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to the latent ``(N, C, h, w)``, and nothing else."""

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self.camera = camera

    def forward(self, pictures: Tensor) -> Tensor:
        """Run trunk and bottleneck."""
        (latent,) = self.camera(pictures)
        found: Tensor = latent
        return found


class _Masks(nn.Module):
    """The latent ``(N, C, h, w)`` to class logits ``(N, classes, H, W)`` of a size."""

    def __init__(self, cloud: CloudDecoder) -> None:
        super().__init__()
        self.cloud = cloud

    def forward(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        """Run the cloud's decoder; ``size`` is (height, width) of the picture."""
        logits = self.cloud(latent, None, grid_at4(size))
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
