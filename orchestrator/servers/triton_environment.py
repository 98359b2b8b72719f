"""Where the real tritonserver of this machine lies, and the folder that it works in.

The wheel ``nvidia-pytriton`` carries the server and its python backend, whose library finds its neighbours through
``$ORIGIN/../../../../nvidia_pytriton.libs``. So they are laid out once more, in a folder of the run::

    RUN/triton/                          where the server works
    ├── models ──▶ the model repository
    ├── environment ──▶ .venv-triton
    ├── libpython ──▶ the folder of the shared libpython
    └── runtime/
        ├── nvidia_pytriton.libs ──▶ the wheel's libraries
        └── x/y/backends/
            ├── python/        copies: the server refuses links that lead out of the folder
            ├── onnxruntime/   ours: ONNX Runtime on this machine's processor
            └── tensorrt/      the same, under the name that production configurations may give

Its backend starts each stub by a line for ``bash`` in which no path is quoted, and ``PATH`` and ``LD_LIBRARY_PATH``
cannot hold a colon. So every path that it is given is relative to that folder and made of the names above: blanks,
colons or other letters in the folder's own path, or in the checkout's, reach no shell.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import ServiceError

ENVIRONMENT_VARIABLE = "NARROWS_TRITON_ENV"
MODELS, BACKENDS = "models", "runtime/x/y/backends"
"""Of the model repository and the backends, from the folder that the server works in."""
_OURS = Path(__file__).parent / "backends" / "onnxruntime" / "model.py"
_ROOT = Path(__file__).parents[2]
_QUESTION = """
import json, os, sys, sysconfig
name = sysconfig.get_config_var
folders = [name("LIBDIR"), os.path.join(sys.base_prefix, "lib"), os.path.join("/usr/lib", name("MULTIARCH") or "")]
print(json.dumps([sysconfig.get_path("purelib"), name("py_version_short"), [f for f in folders if f]]))
"""


@dataclass(frozen=True)
class TritonEnvironment:
    """The virtual environment that holds the server.

    Attributes:
        folder: the environment's own folder.
        packages: its ``site-packages``.
        python_version: ``"3.11"``, say; it chooses the backend's stub.
        library_folder: where its shared libpython lies, which the stub needs.
    """

    folder: Path
    packages: Path
    python_version: str
    library_folder: Path

    @classmethod
    def find(cls) -> TritonEnvironment:
        """The environment that ``NARROWS_TRITON_ENV`` names, else ``.venv-triton`` beside the packages.

        Raises:
            ServiceError: it is not there, or is incomplete; the message says what to do.
        """
        folder = Path(os.environ.get(ENVIRONMENT_VARIABLE) or _ROOT / ".venv-triton").absolute()
        python = folder / "bin" / "python"
        if not python.is_file():
            raise ServiceError(f"{folder} is no Python environment with tritonserver: run `make setup`")
        answer = subprocess.run([python, "-I", "-c", _QUESTION], capture_output=True, text=True, check=False)
        if answer.returncode:
            raise ServiceError(f"{python} does not run: remove {folder} and run `make setup`\n{answer.stderr}")
        packages, version, library_folders = json.loads(answer.stdout)
        wheel = Path(packages) / "pytriton" / "tritonserver"
        for path in (wheel / "bin" / "tritonserver", Path(packages) / "onnxruntime"):
            if not path.exists():
                raise ServiceError(f"{path} is missing: remove {folder} and run `make setup`")
        return cls(folder, Path(packages), version, _library_folder(version, library_folders))

    @property
    def server(self) -> Path:
        """The ``tritonserver`` program."""
        return self._wheel / "bin" / "tritonserver"

    def variables(self) -> dict[str, str]:
        """What the server's process needs in its environment; one thread an instance, Triton makes the instances."""
        return {
            "PATH": f"environment/bin{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "LD_LIBRARY_PATH": "libpython",
            "OMP_NUM_THREADS": "1",
            "ORT_DISABLE_TELEMETRY": "1",
        }

    def lay_out(self, folder: Path, model_repository: Path) -> None:
        """Make the layout above in ``folder``, anew.

        Raises:
            OSError: it cannot be written.
        """
        runtime = folder / "runtime"
        shutil.rmtree(runtime, ignore_errors=True)
        backends = folder / BACKENDS
        shutil.copytree(self._wheel / "backends" / "python", backends / "python")
        shutil.copy2(self._stub, backends / "python")
        for name in ("onnxruntime", "tensorrt"):
            (backends / name).mkdir()
            shutil.copy2(_OURS, backends / name)
        _link(runtime / "nvidia_pytriton.libs", self.packages / "nvidia_pytriton.libs")
        _link(folder / MODELS, model_repository.absolute())
        _link(folder / "environment", self.folder)
        _link(folder / "libpython", self.library_folder)

    @property
    def _wheel(self) -> Path:
        return self.packages / "pytriton" / "tritonserver"

    @property
    def _stub(self) -> Path:
        return self._wheel / "python_backend_stubs" / self.python_version / "triton_python_backend_stub"


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _library_folder(version: str, folders: list[str]) -> Path:
    name = f"libpython{version}.so.1.0"
    for folder in map(Path, folders):
        if (folder / name).is_file():
            return folder
    raise ServiceError(f"there is no {name} in {folders}, which Triton's backend needs: `make setup` names the remedy")
