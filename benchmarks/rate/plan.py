"""What is trained and compared, as one value; and where it lies in a run folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.rate.made_of import digest
from narrows.contract.errors import ConfigError
from narrows.models.training.run_folder import keep_settings, read_settings

RUNS, QUICK_RUNS = Path("runs/rate"), Path("runs/rate-quick")
FROZEN = "encoder"
"""The end-to-end encoder, as heads find it."""
JUDGED = "val"
"""The split that is judged; the heads and their choices are of ``train``."""
SCALES = (1.0, 0.75, 0.5)
_PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        seeds: one head a seed and method.
        views: of each training picture: plain, mirrored, and the rest augmented.
        held_out: this many pictures at the end of ``held_out_drive`` are cut from train to choose checkpoints on.
        head_steps: of the heads on cached features.
        codec_steps: of the whole network on the pictures of a codec at one quality.
        together_steps: of encoder and decoder together, joint and separate.
    """

    seeds: tuple[int, ...] = (1, 2, 3)
    views: int = 4
    held_out_drive: str = "0006R0"
    held_out: int = 36
    batch: int = 8
    head_steps: int = 1200
    codec_steps: int = 200
    together_steps: int = 400
    train_limit: int = 0
    val_limit: int = 0

    @classmethod
    def quick(cls) -> Plan:
        """Enough to see that everything runs; its figures mean nothing."""
        return cls(
            seeds=(1,),
            views=2,
            held_out=4,
            batch=4,
            head_steps=6,
            codec_steps=1,
            together_steps=2,
            train_limit=12,
            val_limit=4,
        )

    @property
    def is_quick(self) -> bool:
        """Whether figures of it mean nothing: it is of a few pictures."""
        return bool(self.train_limit or self.val_limit)

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """The plan of a run folder.

        Raises:
            ConfigError: it has none.
            RecordError: it was changed by hand, or damaged.
        """
        path = folder / _PLAN
        if not path.is_file():
            raise ConfigError(f"{folder} has no {_PLAN}: run `make train-rate-table` first, or name its --run")
        raw = read_settings(path)
        known = {field.name: raw[field.name] for field in fields(cls) if field.name in raw}
        return cls(**{**known, "seeds": tuple(raw["seeds"])})

    def keep(self, folder: RunFolder, checkpoint: Path, classes: tuple[str, ...], pictures: str) -> None:
        """Write it into a run folder, or see that what stands there was trained by it, on the same encoder and data.

        Args:
            folder: of the run.
            checkpoint: whose encoder is frozen.
            classes: of the labels.
            pictures: digest of what is trained and chosen on.

        Raises:
            ConfigError: heads or networks of another plan, checkpoint or data stand there: a table would mix them.
        """
        asked = asdict(self) | {"checkpoint": digest(checkpoint), "classes": classes, "pictures": pictures}
        keep_settings(folder.root / _PLAN, asked, begun=folder.begun)


def tuned_name(codec: str, quality: int) -> str:
    """Of the network that is used to a codec's pictures at one quality."""
    return f"{codec}-q{quality}"


@dataclass(frozen=True)
class RunFolder:
    """Where things lie; everything in it is derived and can be made again."""

    root: Path

    @property
    def begun(self) -> bool:
        """Whether anything stands that would be taken as it is: trained, exported, counted or measured."""
        kinds = ("weights/*", "graphs/*", "tables/*", self.width("*").name)
        return any(path.is_file() for kind in kinds for path in self.root.glob(kind))

    @property
    def views(self) -> Path:
        """Cached latents, features and labels."""
        return self.root / "views"

    def tables(self, encoder: str) -> Path:
        """The integer tables of an exported encoder, counted on training symbols."""
        return self.root / "tables" / f"{encoder}.bin"

    def sent(self, encoder: str) -> Path:
        """What an exported encoder made of the validation frames, and how many bytes that was."""
        return self.root / "sent" / f"{encoder}.npz"

    def graph(self, name: str) -> Path:
        """An exported network."""
        return self.root / "graphs" / f"{name}.onnx"

    def width(self, contender: str) -> Path:
        """At which a contender costs what the joint decoder does."""
        return self.root / f"{contender}_width.json"

    def weights(self, name: str) -> Path:
        """A finished training's chosen weights."""
        return self.root / "weights" / f"{name}.pt"

    def scores(self, name: str) -> Path:
        """Accuracy of an exported network, kept with the digest of what was scored."""
        return self.root / "scores" / f"{name}.json"

    def make(self) -> None:
        """Create the folders."""
        for folder in (
            self.views,
            *(self.root / name for name in ("graphs", "weights", "scores", "masks", "tables", "sent")),
        ):
            folder.mkdir(parents=True, exist_ok=True)
