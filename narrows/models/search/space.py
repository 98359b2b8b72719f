"""What a search may choose of a camera's network, and a choice of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from narrows.models.nn.weak import WeakShape
from narrows.models.nn.weak_designs import Design

Choice = Mapping[str, Any]
_SIDE_GRAIN = 8


@dataclass(frozen=True)
class Candidate:
    """A camera's network.

    Attributes:
        resolution: sides of the pictures that the network sees, as a share of the camera's.
    """

    shape: WeakShape
    resolution: float = 1.0

    @property
    def name(self) -> str:
        """The same for the same network, in any run."""
        return sha256(json.dumps(self.record, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"shape": asdict(self.shape), "resolution": self.resolution}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Candidate:
        """What :attr:`record` wrote."""
        shape: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in record["shape"].items()
        }
        return cls(WeakShape(**shape), float(record["resolution"]))

    def sees(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of what the network sees of pictures of ``size``."""
        return seen_side(size[0], self.resolution), seen_side(size[1], self.resolution)

    def scaled(self, width: float) -> Candidate:
        """As wide by this factor."""
        return replace(self, shape=self.shape.scaled(width))


def seen_side(side: int, resolution: float) -> int:
    """A side of a picture at a resolution; as it is at 1, else a multiple of 8."""
    return side if resolution == 1 else max(_SIDE_GRAIN, _SIDE_GRAIN * round(side * resolution / _SIDE_GRAIN))


@dataclass(frozen=True)
class Space:
    """The choices. Those of the bottleneck stand only where the design sends symbols, the head's where it sends labels.

    The present encoder (:class:`~narrows.models.nn.weak.WeakShape`) is one of them, at any of these widths.
    """

    stem_kernel: tuple[int, ...] = (4, 8)
    width4: tuple[int, ...] = (16, 24, 32, 40, 48)
    width8: tuple[int, ...] = (24, 32, 48, 64, 80, 96)
    width16: tuple[int, ...] = (48, 64, 96, 128, 160)
    depth4: tuple[int, ...] = (0, 1, 2)
    depth8: tuple[int, ...] = (0, 1, 2, 3)
    depth16: tuple[int, ...] = (0, 1, 2, 4, 6)
    kernel4: tuple[int, ...] = (3, 5)
    kernel8: tuple[int, ...] = (3, 5)
    kernel16: tuple[int, ...] = (3, 5, 7)
    expansion8: tuple[int, ...] = (2, 3, 4)
    expansion16: tuple[int, ...] = (2, 3, 4)
    head: tuple[int, ...] = (16, 24, 40, 56)
    resolution: tuple[float, ...] = (0.5, 2 / 3, 5 / 6, 1.0)
    latent_channels: tuple[int, ...] = (16, 32, 48, 64)
    latent_stride: tuple[int, ...] = (16, 32)

    def choices(self, design: Design) -> dict[str, tuple[Any, ...]]:
        """What there is to choose for a design."""
        left_out = set() if design.sends_labels else {"head"}
        left_out |= set() if design.sends_symbols else {"latent_channels", "latent_stride"}
        return {name: values for name, values in vars(self).items() if name not in left_out}


def candidate_of(chosen: Choice) -> Candidate:
    """What a choice means; what it leaves out is as the present encoder has it."""
    default = WeakShape()
    three = {
        field: tuple(int(chosen[f"{name}{stride}"]) for stride in (4, 8, 16))
        for field, name in (("widths", "width"), ("depths", "depth"), ("kernels", "kernel"))
    }
    shape = WeakShape(
        widths=three["widths"],  # type: ignore[arg-type]  # three of them
        depths=three["depths"],  # type: ignore[arg-type]
        kernels=three["kernels"],  # type: ignore[arg-type]
        expansions=(int(chosen["expansion8"]), int(chosen["expansion16"])),
        stem_kernel=int(chosen["stem_kernel"]),
        latent_channels=int(chosen.get("latent_channels", default.latent_channels)),
        latent_stride=int(chosen.get("latent_stride", default.latent_stride)),
        head=int(chosen.get("head", default.head)),
    )
    return Candidate(shape, float(chosen["resolution"]))
