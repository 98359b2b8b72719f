"""The virtual environments of this checkout: what is in each, and whether it is up to date."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

STAMP, TOOLS_STAMP = "narrows-setup.stamp", "narrows-tools.stamp"
CODER = ("kernel.c", "labels.c", "masks.c", "crc.c", "crc.h", "rans.h", "build.py")
"""What the compiled coders are made of; a test compares it with the folder."""


@dataclass(frozen=True)
class Step:
    """One command of the environment's own Python, and what to call it on the screen."""

    label: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """One virtual environment.

    Attributes:
        name: its folder's name in the checkout.
        steps: run in this order once the bare environment is there.
        inputs: files and folders, relative to the checkout, which make it stale when they change.
        products: patterns of files that its steps also make; it is stale if there is none.
        stamp: the file in it that records what it was made from; what is added later has a stamp of its own.
    """

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    products: tuple[str, ...] = ()
    stamp: str = STAMP

    def digest(self, root: Path) -> str:
        """Hash of the steps and of the contents of all inputs."""
        whole = hashlib.sha256(repr(self.steps).encode())
        for name in self.inputs:
            data = (root / name).read_bytes()
            whole.update(f"\n{name} {len(data)}\n".encode() + data)
        return whole.hexdigest()

    def is_current(self, root: Path) -> bool:
        """Whether it was made from the present inputs, and is whole."""
        stamp = root / self.name / self.stamp
        made = stamp.is_file() and stamp.read_text() == self.digest(root)
        return made and all(any(root.glob(pattern)) for pattern in self.products)

    def mark_current(self, root: Path) -> None:
        """Record that it was made from the present inputs."""
        (root / self.name / self.stamp).write_text(self.digest(root))


def planned(
    *, dev: bool, train: bool, compiler: bool, lowest: bool = False, engines: bool = False, peers: bool = False
) -> list[Environment]:
    """The environments to make: the program's, Triton's; if asked for, those of tests, workshop and further checks.

    Triton's is apart because the stub of its python backend silently returns empty outputs under NumPy 2.
    """
    return [
        _ours(".venv", "edge,video,cloud,local", compiler=compiler),
        _triton(),
        *([_tools(".venv")] if dev else []),
        *([_ours(".venv-train", "edge,video,cloud,local,train,dev", compiler=compiler)] if train else []),
        *([_lowest(".venv-lowest")] if lowest else []),
        *([_engines(".venv-engines")] if engines else []),
        *([_peers(".venv-peers")] if peers else []),
    ]


def _ours(name: str, extras: str, *, compiler: bool) -> Environment:
    wanted = ["-e", f".[{extras}]", *([] if compiler else ["ziglang"])]
    return Environment(
        name,
        (
            Step(f"install narrows[{extras}]", (*_PIP, "-c", "constraints.txt", *wanted)),
            Step("compile the symbol coder", ("-m", "narrows.contract.codec.build")),
        ),
        ("pyproject.toml", "constraints.txt", *(f"narrows/contract/codec/{name}" for name in CODER)),
        ("narrows/contract/codec/_kernel_*.so",),
    )


def _tools(name: str) -> Environment:
    """What tests need beside the program, in the program's environment: who only runs it does not wait for them."""
    install = Step("install narrows[dev]", (*_PIP, "-c", "constraints.txt", "-e", ".[dev]"))
    return Environment(name, (install,), ("pyproject.toml", "constraints.txt"), stamp=TOOLS_STAMP)


def _lowest(name: str) -> Environment:
    """The lowest version of each dependency that ``pyproject.toml`` names, so that its bounds are known to be true.

    What those depend on is as new as they allow: that is what an installer takes beside an old one. The tests' own
    tools are the usual ones.
    """
    install = ("-m", "uv", "pip", "install", "--quiet")
    lowest = ("--upgrade", "--resolution", "lowest-direct", "-e", ".[edge,video,cloud,local,docker,kubernetes]")
    return Environment(
        name,
        (
            Step("install uv", (*_PIP, "uv")),
            Step("install the lowest versions", (*install, *lowest)),
            Step("install what the unit tests need", (*install, *_pinned(_TEST_TOOLS))),
        ),
        ("pyproject.toml", "constraints.txt"),
    )


def _engines(name: str) -> Environment:
    """TensorRT-RTX, which builds engines without a GPU. Proprietary: `make check-engines` says the terms first.

    Without the package of all parts, which asks for CUDA's too.
    """
    wanted = [f"tensorrt-rtx-cu12-{part}=={_TENSORRT_RTX}" for part in ("libs", "bindings")]
    return Environment(name, (Step("install TensorRT-RTX (90 MB)", (*_PIP, "--no-deps", *wanted)),), ())


def _peers(name: str) -> Environment:
    """What `make bench-peers` compares with, and what this library's contracts need in their workers."""
    listed = "benchmarks/peers/requirements.txt"
    return Environment(name, (Step("install the peers (500 MB)", (*_PIP, "-r", listed)),), (listed,))


def _pinned(names: frozenset[str]) -> list[str]:
    """The lines of ``constraints.txt`` for these packages."""
    lines = (Path(__file__).parents[1] / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line.partition("==")[0].lower() in names]


def _triton() -> Environment:
    limits = ("-c", "constraints-triton.txt")
    return Environment(
        ".venv-triton",
        (
            Step("install ONNX Runtime and NumPy 1", (*_PIP, *limits, "numpy<2", "onnxruntime")),
            Step("install the Triton server (55 MB)", (*_PIP, *limits, "--no-deps", "nvidia-pytriton")),
        ),
        ("constraints-triton.txt",),
    )


_TENSORRT_RTX = "1.7.1.116"
_TEST_TOOLS = frozenset(
    {
        "pytest",
        "pytest-asyncio",
        "pytest-timeout",
        "pytest-xdist",
        "hypothesis",
        "import-linter",
        "constriction",
        "zstandard",
        "playwright",
        "pyyaml",
        "grafana-foundation-sdk",
    }
)
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
