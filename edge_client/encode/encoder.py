"""The encoder network, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.bundle import Bundle
from narrows.contract.errors import EncoderError

if TYPE_CHECKING:
    from narrows.runtime.onnx_runtime import InferenceSession

_INPUT, _OUTPUT = "picture", "latent"


class OnnxEncoder:
    """A bundle's encoder: pictures to latents, normalisation included."""

    def __init__(self, bundle: Bundle, threads: int = 1, path: Path | None = None) -> None:
        """Load the network: the bundle's int8 encoder, or its twin at ``path``.

        Raises:
            EncoderError: ONNX Runtime is missing or refuses it, or it is not the manifest's.
        """
        self._width, self._height = bundle.manifest.input.width, bundle.manifest.input.height
        self._path = path or bundle.encoder_path
        self._session = open_session(self._path, threads)
        _check_signature(self._session, bundle, self._path)

    def latent(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The latent ``(C, h, w)`` float32 of a picture ``(H, W, 3)`` uint8 RGB of the bundle's size.

        Raises:
            EncoderError: the network cannot be run: there is no memory for it, say.
        """
        with named_refusals(self._path):
            (latent,) = self._session.run([_OUTPUT], {_INPUT: picture[np.newaxis]})
        plane: NDArray[np.float32] = latent[0]
        return plane

    def fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture at the bundle's size: see :func:`fitted`."""
        return fitted(picture, self._width, self._height)


def fitted(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture ``(H, W, 3)`` at a size: bilinear, each side on its own (no bars, so the aspect may change).

    Labels go back by :func:`narrows.labels_at_source_size`.
    """
    if picture.shape[1::-1] == (width, height):
        return np.ascontiguousarray(picture)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def open_session(path: Path, threads: int) -> InferenceSession:
    """A network in ONNX Runtime on the CPU; its threads do not spin while they wait.

    Raises:
        EncoderError: ONNX Runtime is missing or refuses the graph.
    """
    try:
        from narrows.runtime import onnx_runtime  # noqa: PLC0415 -- an extra: a machine that only reads masks needs none
    except ImportError:
        raise EncoderError("the encoder needs ONNX Runtime: pip install 'narrows[edge]'") from None
    options = onnx_runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with named_refusals(path):
        return onnx_runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@contextmanager
def named_refusals(path: Path) -> Iterator[None]:
    """Whatever ONNX Runtime does not load, or not run.

    Raises:
        EncoderError: by the network's name.
    """
    from narrows.runtime import onnx_runtime  # noqa: PLC0415 -- an extra: a machine that only reads masks needs none

    try:
        yield
    except onnx_runtime.REFUSALS as error:
        raise EncoderError(f"{path}: ONNX Runtime {onnx_runtime.__version__} refuses it: {error}") from None


def _check_signature(session: InferenceSession, bundle: Bundle, path: Path) -> None:
    picture, latent = bundle.manifest.input, bundle.manifest.latent
    wanted = [(_INPUT, [1, picture.height, picture.width, 3]), (_OUTPUT, [1, *latent.as_tuple()])]
    found = [(node.name, list(node.shape)) for node in (*session.get_inputs(), *session.get_outputs())]
    if found != wanted:
        raise EncoderError(f"{path} has {found}; the manifest wants {wanted}: export the bundle again")
