"""What must be agreed to before the vendor's wheels are fetched: ``make check-engines ARGS=--accept-terms``."""

from __future__ import annotations

import sys

ACCEPT = "--accept-terms"
TERMS = f"""\
This check installs NVIDIA's TensorRT-RTX from PyPI (tensorrt-rtx-cu12-libs, tensorrt-rtx-cu12-bindings; about
90 MB) into .venv-engines. The libraries are proprietary, under the NVIDIA Software License Agreement and its
product-specific terms for TensorRT-RTX: https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/reference/sla.html,
and LICENSE.txt in each wheel. Nothing of Narrows needs or ships them. Read the terms; if you agree to them:

    make check-engines ARGS={ACCEPT}
"""


def main() -> int:
    """Say the terms, and answer 0 only if they were accepted."""
    print(TERMS)
    return 0 if ACCEPT in sys.argv[1:] else 1


if __name__ == "__main__":
    sys.exit(main())
