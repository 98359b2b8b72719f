"""What a teacher says of an annotation: asked once, kept, and from then on it costs the student nothing.

::

    thing ─► windows of 1.2 and 1.5 times its box ─► teacher ─► mean probability in the window of twice its box, 96 x 96
    student's view ─► its window cut out of that map ─► probabilities beside the label

The teacher is asked with the tight box, which the student seldom gets. Maps are kept beside the teacher's checkpoint,
as bytes, and belong to those very weights and to a thing's name and mask: data sets share names.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.models.nn.promptable import PromptableNetwork
from narrows.models.nn.stored import DAMAGED
from narrows.models.promptable.data import AnnotatedPicture, Instance
from narrows.models.promptable.run import load_trained
from narrows.models.promptable.views import View
from narrows.models.training.augment import DEVIATION, MEAN
from narrows.models.training.run import CHECKPOINT
from narrows.runtime.prompting import Prompt, Window
from narrows.runtime.prompting.inputs import encode_input
from narrows.runtime.writing import write_file

KEPT_SIZE = 96
KEPT_SCALE = 2.0
"""The window that is kept, of the thing's longer side: no box reaches beyond it, and beyond it nothing is the thing."""
SCALES = (1.2, 1.5)
"""The windows that the teacher looks at, likewise; their probabilities are averaged."""

Thing = tuple[AnnotatedPicture, Instance]


@dataclass
class TaughtMasks:
    """Probabilities by the key of a thing, ``(96, 96)`` uint8 of 255, and who to ask for more."""

    teacher: PromptableNetwork
    cache: Path
    maps: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    @classmethod
    def open(cls, run: Path) -> TaughtMasks:
        """The teacher of a run folder, and what it was asked before; what cannot be read is asked anew.

        Raises:
            WeightsMismatch: there is no checkpoint of ``narrows promptable train``.
        """
        teacher = load_trained(run).network
        digest = hashlib.sha256((run / CHECKPOINT).read_bytes()).hexdigest()
        cache = run / f"taught-{digest[:16]}.npz"
        held: dict[str, NDArray[np.uint8]] = {}
        if cache.is_file():
            with (
                suppress(*DAMAGED, OSError, zipfile.BadZipFile, zlib.error),
                np.load(io.BytesIO(cache.read_bytes())) as stored,
            ):
                held = dict(zip(stored["names"].tolist(), stored["maps"], strict=True))
        return cls(teacher, cache, held)

    def save(self) -> None:
        """Keep what was asked, whole or not at all; of two students of one teacher what the last one knows.

        Raises:
            FileUnwritable: it cannot be written.
        """
        content = io.BytesIO()
        np.savez_compressed(content, names=np.array(list(self.maps)), maps=np.stack(list(self.maps.values())))
        own = self.cache.with_name(f".{secrets.token_hex(4)}-{self.cache.name}")  # another student may write now, too
        write_file(own, content.getvalue())
        own.replace(self.cache)

    def tensors(self, things: Sequence[Thing], views: Sequence[View]) -> Tensor:
        """What the teacher says in views of things, ``(N, 1, size, size)`` float32, 0 to 1."""
        told = [self._in_view(thing, view) for thing, view in zip(things, views, strict=True)]
        return torch.from_numpy(np.stack(told)[:, None]).float().div_(255)

    def _in_view(self, thing: Thing, view: View) -> NDArray[np.uint8]:
        key, kept = _key(thing[1]), Window.around(thing[1].box, KEPT_SCALE)
        if key not in self.maps:
            self.maps[key] = self._ask(*thing, kept)
        crop = _within(view.window, kept).cut(self.maps[key], view.target.shape[0], outside=0)
        return np.ascontiguousarray(crop[:, ::-1]) if view.mirrored else crop

    @torch.no_grad()
    def _ask(self, picture: AnnotatedPicture, instance: Instance, kept: Window) -> NDArray[np.uint8]:
        size, prompt, said = self.teacher.shape.size, Prompt(instance.box), []
        for scale in SCALES:
            window = Window.around(instance.box, scale)
            inputs = torch.from_numpy(encode_input(picture.picture, prompt, window, size)).float()
            logits = self.teacher(inputs.sub_(MEAN).div_(DEVIATION)[None])[0, 0]
            said.append(_within(window, kept).spread(logits.sigmoid().numpy(), KEPT_SIZE, KEPT_SIZE, 0.0))
        mean: NDArray[np.float32] = np.mean(said, axis=0)
        return np.rint(255 * mean).astype(np.uint8)


def _key(instance: Instance) -> str:
    return f"{instance.name} {zlib.crc32(instance.mask.tobytes(), zlib.crc32(repr(instance.box).encode())):08x}"


def _within(window: Window, kept: Window) -> Window:
    """A window in the pixels of the map that is kept."""
    x, y = kept.scaled(window.x, window.y, KEPT_SIZE)
    return Window(x, y, window.side * KEPT_SIZE / kept.side)
