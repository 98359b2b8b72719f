"""A control plane out of Debian's source package, built once into a cache; a build that was stopped goes on later.

Debian 12 has Kubernetes' source (1.20.2, with all that it needs) and builds of it no package but the client's. Without
cloud providers and without optimisation it compiles in a fraction of the time, and decides the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "e2e-kubernetes"
VERSION = "v1.20.2"
"""Of Debian 12's source; the programs themselves were not told theirs, as Kubernetes' own scripts do."""
_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_FLAGS = ("-p=1", "-trimpath", "-tags=providerless", "-gcflags=all=-N -l -dwarf=false", "-ldflags=-s -w")
_SOURCE_SH = Path(__file__).with_name("source.sh")
_DEFINITIONS = "pkg/generated/openapi"
_HEADER = "hack/boilerplate/boilerplate.generatego.txt"
_TELL_S = 30.0


@dataclass(frozen=True)
class Builder:
    """The cache and what is in it."""

    cache: Path
    console: Console

    @property
    def programs(self) -> Path:
        """The folder of the programs."""
        return self.cache / "bin"

    @property
    def source(self) -> Path:
        """Where Go looks for it."""
        return self.cache / "gopath" / "src" / "k8s.io" / "kubernetes"

    def build(self) -> None:
        """Build what is missing: minutes on a quiet machine of eight cores, an hour on a busy one of two.

        Raises:
            subprocess.CalledProcessError: a step failed; its output stands above.
        """
        self._etcd()
        if all((self.programs / name).is_file() for name in _PROGRAMS):
            return
        self._compiler()
        self._fetch()
        self._describe()
        self._compile(*_PROGRAMS)
        shutil.rmtree(self.cache / "gopath")
        shutil.rmtree(self.cache / "objects")

    def _etcd(self) -> None:
        if (self.programs / "etcd").is_file():
            return
        self._say("fetching etcd")
        self.programs.mkdir(parents=True, exist_ok=True)
        folder = self.cache / "etcd"
        subprocess.run([_SOURCE_SH, "--program", folder, "etcd-server"], check=True)
        shutil.copy(folder / "usr" / "bin" / "etcd", self.programs)
        shutil.rmtree(folder)

    def _compiler(self) -> None:
        if shutil.which("go") is None:
            self._say("installing golang-go")
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            words = ("install", "-y", "-qq", "--no-install-recommends", "golang-go")
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *words], check=True, env=environment, stdout=subprocess.DEVNULL)

    def _fetch(self) -> None:
        if not self.source.is_dir():
            self._say("fetching Kubernetes' source")
            subprocess.run([_SOURCE_SH, self.source, "kubernetes"], check=True)

    def _describe(self) -> None:
        """Generate the description of its types, which is no part of the source."""
        target = self.source / _DEFINITIONS / "zz_generated.openapi.go"
        if target.is_file():
            return
        self._compile("openapi-gen", package="./vendor/k8s.io/kube-openapi/cmd")
        self._say("generating OpenAPI definitions")
        options = {
            "-i": ",".join(self.described()),
            "-p": f"k8s.io/kubernetes/{_DEFINITIONS}",
            "-O": "zz_generated.openapi",
            "-h": _HEADER,
            "-r": str(self.cache / "violations"),
            "--output-base": str(self.cache / "gopath" / "src"),
        }
        words = [word for pair in options.items() for word in pair]
        root = {"GOROOT": self._go("env", "GOROOT").strip()}  # -trimpath took it out of the generator
        subprocess.run(
            [self.programs / "openapi-gen", *words], check=True, cwd=self.source, env=self._environment() | root
        )

    def described(self) -> list[str]:
        """Packages that ask for a description, as Kubernetes' own Makefile finds them."""
        marked = subprocess.run(
            ["grep", "-rl", "--include=*.go", "+k8s:openapi-gen=", "cmd", "pkg", "plugin", "staging/src/k8s.io"],
            cwd=self.source, capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        folders = {str(Path(file).parent) for file in marked if not Path(file).name.startswith("zz_generated")}
        names = (each.replace("staging/src/", "vendor/") for each in sorted(folders))
        return [f"k8s.io/kubernetes/{each}" for each in names if "code-generator" not in each and "sample-" not in each]

    def _compile(self, *names: str, package: str = "./cmd") -> None:
        """Compile, and say how far it is. What Go has in its cache it does not name, so what it named once is noted."""
        packages = [f"{package}/{name}" for name in names]
        needed = set(self._go("list", "-tags=providerless", "-deps", *packages).split())
        noted = self.cache / "compiled"
        progress = Progress(len(needed), len(_lines(noted) & needed))
        command = ["go", "build", "-v", *_FLAGS, "-o", f"{self.programs}/", *packages]
        with (
            noted.open("a") as notes,
            subprocess.Popen(
                command, cwd=self.source, env=self._environment(), stderr=subprocess.PIPE, text=True
            ) as go,
        ):
            for line in go.stderr or ():
                if " " in line.strip():  # a fault; the name of a package has no space
                    self.console.print(line, end="")
                    continue
                notes.write(line)
                notes.flush()
                if told := progress.one_more(time.monotonic()):
                    self._say(told)
        if go.returncode:
            raise subprocess.CalledProcessError(go.returncode, command)

    def _go(self, *words: str) -> str:
        command = ["go", *words]
        done = subprocess.run(
            command, cwd=self.source, env=self._environment(), stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        folders = {"GOCACHE": "objects", "GOPATH": "gopath", "GOTMPDIR": "tmp"}
        (self.cache / "tmp").mkdir(parents=True, exist_ok=True)
        ours = {name: str(self.cache / folder) for name, folder in folders.items()}
        return os.environ | ours | {"GO111MODULE": "off", "CGO_ENABLED": "0", "GOPROXY": "off"}

    def _say(self, what: str) -> None:
        self.console.print(f"building: {what}", style="dim")


class Progress:
    """How far a build is, and how long it takes from here."""

    def __init__(self, needed: int, done: int) -> None:
        """Of so many packages so many are done already."""
        self._needed, self._done, self._new = needed, done, 0
        self._begun_s = self._told_s = 0.0

    def one_more(self, now_s: float) -> str:
        """A package begins; answers what to say of it, every half minute, else nothing."""
        self._new += 1
        if self._new == 1:
            self._begun_s = self._told_s = now_s
        if now_s - self._told_s < _TELL_S:
            return ""
        self._told_s = now_s
        left = max(self._needed - self._done - self._new, 0)
        minutes = (now_s - self._begun_s) / (self._new - 1) * left / 60
        return f"{self._done + self._new} of {self._needed} packages compiled, about {minutes:.0f} minutes left"


def _lines(file: Path) -> set[str]:
    return set(file.read_text().split()) if file.is_file() else set()
