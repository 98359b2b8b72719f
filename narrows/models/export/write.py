"""From a checkpoint to a bundle folder, in the order in which it has to happen.

The tables are counted on what the *int8* encoder yields, since that is what cameras send.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle, FileEntry, InputSpec, Manifest, RateLevel
from narrows.contract.bundle.manifest import CAMERA_DECODER, DECODER, ENCODER_FLOAT, ENCODER_INT8, MANIFEST, TABLES
from narrows.contract.codec import CodingTables, encode_symbols
from narrows.contract.wire import LatentShape
from narrows.contract.wire.feature import HEADER_BYTES
from narrows.models.dataset import FolderDataset
from narrows.models.export.counting import count_both, latents_of, symbols_at, with_mirrored
from narrows.models.export.draft import bundle_draft
from narrows.models.export.graphs import write_decoder, write_encoder
from narrows.models.export.halves import Exportable
from narrows.models.export.int8 import quantise_encoder
from narrows.models.export.labelling import Labelling
from narrows.models.export.quantise import add_int8_decoders
from narrows.models.training.augment import DEVIATION, MEAN

CODING_ORDER = "channel-row-column"
CALIBRATION_PICTURES = 48
RATE_SAMPLE = 40
OPTIONAL = frozenset({ENCODER_FLOAT, CAMERA_DECODER})
"""Files that may be left out where they do not run."""
Say = Callable[[str], None]


def write_bundle(network: Exportable, data: FolderDataset, label: Labelling, folder: Path, say: Say = print) -> Bundle:
    """Export everything, count the tables, write the manifest, add the decoder's int8 twins: all, or nothing.

    Raises:
        FileUnwritable: the folder cannot be written to.
        DatasetError: the training pictures cannot be read.
    """
    width, height = data.classes.size
    with bundle_draft(folder) as draft:
        say(f"exporting the float encoder and the decoder for {width}x{height}")
        write_encoder(network, (height, width), draft / ENCODER_FLOAT)
        pictures = [sample.picture for sample in data.at_its_size()]
        step = max(1, len(pictures) // CALIBRATION_PICTURES)
        say(f"quantising the encoder to int8, calibrated on {len(pictures[::step])} pictures")
        quantise_encoder(draft / ENCODER_FLOAT, pictures[::step], draft / ENCODER_INT8)
        say(f"running the int8 encoder over {2 * len(pictures)} pictures to count symbols")
        latents = latents_of(draft / ENCODER_INT8, with_mirrored(pictures))
        latent = LatentShape(*latents.shape[1:])
        write_decoder(network, (height, width), latent.as_tuple(), draft / DECODER)
        gains = network.gains.log_gain.detach().exp().numpy().astype(np.float32)
        tables = count_both(draft / ENCODER_INT8, pictures, latents, gains, say)
        (draft / TABLES).write_bytes(tables.to_bytes())
        manifest = Manifest(
            name=label.name,
            version=label.version,
            classes=data.classes.names,
            palette=data.classes.palette,
            input=InputSpec(width=width, height=height, mean=MEAN, deviation=DEVIATION),
            latent=latent,
            levels=measured_levels(latents, gains, tables, width * height),
            coding_order=CODING_ORDER,
            licence=label.licence,
            provenance=label.provenance,
            files={name: file_entry(draft / name) for name in (ENCODER_INT8, ENCODER_FLOAT, DECODER, TABLES)},
        )
        (draft / MANIFEST).write_bytes(manifest.to_json())
        add_int8_decoders(Bundle.open(draft), data, say)
    return Bundle.open(folder)


def measured_levels(
    latents: NDArray[np.float32], gains: NDArray[np.float32], tables: CodingTables, pixels: int
) -> tuple[RateLevel, ...]:
    """The rate levels with the bits per pixel of whole K packets, on a sample of the latents ``(N, C, h, w)``."""
    sample = latents[:: max(1, len(latents) // RATE_SAMPLE)]
    levels = []
    for index, gain in enumerate(gains):
        planes = [tables.silence(symbols, index) for symbols in symbols_at(sample, gain)]
        sizes = [HEADER_BYTES + len(encode_symbols(plane, tables, index)) for plane in planes]
        rate = 8 * float(np.mean(sizes)) / pixels
        levels.append(RateLevel(tuple(float(g) for g in gain), round(rate, 5)))
    return tuple(levels)


def file_entry(path: Path) -> FileEntry:
    """A file as the manifest pins it."""
    data = path.read_bytes()
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data), required=path.name not in OPTIONAL)
