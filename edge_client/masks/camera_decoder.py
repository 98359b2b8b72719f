"""The bundle's decoder for cameras, run by ONNX Runtime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.encoder import open_session
from narrows.contract.bundle import Bundle
from narrows.contract.bundle.manifest import CAMERA_DECODER
from narrows.contract.errors import BundleError, EncoderError

_SYMBOLS, _LEVEL, _SCALE, _LABELS = "symbols", "level", "scale", "labels"


class OnnxCameraDecoder:
    """Symbols to label maps, as :mod:`narrows.models.export.camera_decoder` exports them."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Load the network.

        Raises:
            BundleError: the bundle has no camera decoder, or it was left out here.
            EncoderError: ONNX Runtime is missing or refuses it, or it is not the manifest's.
        """
        path = bundle.camera_decoder_path
        if not bundle.has_camera_decoder:
            raise BundleError(
                f"bundle {bundle.hex_id} has no camera decoder: send features, or add one with "
                f"`narrows bundle camera-masks {bundle.folder}`"
            )
        if not path.is_file():
            raise BundleError(f"{path} was left out here: copy {CAMERA_DECODER} of bundle {bundle.hex_id} to it")
        self._session = open_session(path, threads)
        wanted = [(_SYMBOLS, [1, *bundle.manifest.latent.as_tuple()]), (_LEVEL, [1, 1]), (_SCALE, [1])]
        found = [(node.name, list(node.shape)) for node in self._session.get_inputs()]
        if found != wanted or [node.name for node in self._session.get_outputs()] != [_LABELS]:
            raise EncoderError(f"{path} takes {found}; {wanted} is wanted: make it again with `narrows bundle`")

    def labels(self, symbols: NDArray[np.int8], level: int, scale: int) -> NDArray[np.uint8]:
        """The label map uint8 of symbols ``(C, h, w)``, its sides divided by ``scale`` and rounded up."""
        feed = {
            _SYMBOLS: symbols[np.newaxis],
            _LEVEL: np.array([[level]], dtype=np.int32),
            _SCALE: np.array([scale], dtype=np.int64),
        }
        labels: NDArray[np.uint8] = self._session.run([_LABELS], feed)[0][0]
        return labels
