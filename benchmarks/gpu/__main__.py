"""Pack what a GPU machine needs into a folder: the script, the decoder in float32 and float16, and PyTorch's decoder.

Example: python -m benchmarks.gpu --bundle bundles/demo --out build/gpu
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import onnx
import torch

from narrows.contract.bundle import Bundle
from narrows.models.export.graphs import DecoderGraph
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.runtime.onnx_runtime.float16 import convert_float_to_float16

MOST_BYTES = 64 << 20


def main() -> None:
    options = _options()
    out: Path = options.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    bundle = Bundle.open(options.bundle)
    shutil.copyfile(Path(__file__).with_name("run.py"), out / "run.py")
    shutil.copyfile(bundle.decoder_path, out / "decoder.fp32.onnx")
    onnx.save(convert_float_to_float16(onnx.load(bundle.decoder_path)), out / "decoder.fp16.onnx")
    _write_pytorch(bundle, out / "decoder.pt2")
    about = {"bundle": bundle.hex_id, "latent": bundle.manifest.latent.as_tuple(), "levels": len(bundle.gains)}
    (out / "about.json").write_text(json.dumps(about) + "\n")
    size = sum(path.stat().st_size for path in out.iterdir())
    if size > MOST_BYTES:
        raise SystemExit(f"{out} has {size / 2**20:.0f} MiB; {MOST_BYTES >> 20} are allowed")
    print(f"{out}: {size / 2**20:.1f} MiB; on the machine with a GPU: python3 run.py")


def _write_pytorch(bundle: Bundle, path: Path) -> None:
    """The decoder's network as a program that PyTorch alone can load; untrained, since time does not depend on that."""
    latent, size = bundle.manifest.latent, bundle.manifest.input
    network = JointNetwork(NetworkShape(len(bundle.manifest.classes), latent.channels, len(bundle.gains))).eval()
    frames = (torch.zeros(2, *latent.as_tuple(), dtype=torch.int8), torch.zeros(2, 1, dtype=torch.int32))
    batch = torch.export.Dim("batch", min=1, max=256)
    graph = DecoderGraph(network, (size.height, size.width)).eval()
    torch.export.save(torch.export.export(graph, frames, dynamic_shapes=({0: batch}, {0: batch})), path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gpu-kit", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"), help="bundle folder")
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), help="folder to write; what is there goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
