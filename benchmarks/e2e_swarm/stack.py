"""The stack in the swarm: deployed by the commands of docs/swarm.md, and what its manager says of it."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.e2e.waiting import until
from benchmarks.e2e_swarm.images import NOW, OURS, ROOT
from benchmarks.e2e_swarm.nodes import Node
from benchmarks.e2e_swarm.stack_files import write_stack

STACK = "narrows"
SERVICES = ("redis", "triton", "dispatcher", "autoscaler", "engine-proxy", "page")
_LABELS = {"node-1": ("redis", "front", "models", "decoders"), "node-2": ("models", "decoders")}
_UNDER_WAY = {"updating", "rollback_started"}
_TASK = "{{.Node}}|{{.DesiredState}}|{{.CurrentState}}|{{.Image}}"


@dataclass(frozen=True)
class Task:
    """A task that Swarm means to run, or that still runs."""

    node: str
    meant: bool
    running: bool
    image: str


@dataclass
class Stack:
    """What is deployed to the swarm of these nodes, of which the first manages.

    Attributes:
        settings: environment of ``docker stack deploy``; scenes change it.
    """

    nodes: tuple[Node, ...]
    folder: Path
    encrypted: bool
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def manager(self) -> Node:
        """The one that is asked."""
        return self.nodes[0]

    def form(self) -> None:
        """Make a swarm of the nodes, and say by labels what each is for."""
        self.manager.docker("swarm", "init", "--advertise-addr", self.manager.address)
        token = self.manager.docker("swarm", "join-token", "--quiet", "worker")
        for node in self.nodes[1:]:
            node.docker("swarm", "join", "--token", token, f"{self.manager.address}:2377")
        for name, labels in _LABELS.items():
            words = [word for each in labels for word in ("--label-add", f"narrows.{each}=true")]
            self.manager.docker("node", "update", *words, name)
        self.settings = {
            "STACK": STACK,
            "SECRETS_FOLDER": str(self.folder / "secrets"),
            "DOCKER_SOCKET": f"/run/{self.manager.name}.sock",
            "NARROWS_VERSION": NOW,
            "TRITON_SLOTS": "1",
            "TRITON_CPUS": "0.25",
            "MAX_SERVERS": "2",
            "MAX_INSTANCES": "1",
            "DISPATCHERS": "2",
            "REDIS_CPUS": "1",
        }

    def deploy(self) -> None:
        """Deploy as the settings are; the number of Tritons stays what the autoscaler made it."""
        if f"{STACK}_triton" in self.manager.docker("service", "ls", "--format", "{{.Name}}").split():
            replicas = "{{.Spec.Mode.Replicated.Replicas}}"
            self.settings["DECODERS"] = self.inspect("triton", replicas)
        path = write_stack(self.folder, encrypted=self.encrypted)
        files = [path, ROOT / "deploy" / "swarm" / "stack.cpu.yml"]
        self._deploy(files, STACK)

    def install_models(self) -> float:
        """Run the job that installs decoders on each node; answers how long it took, in seconds."""
        name = f"{STACK}-models"
        begun_s = time.monotonic()
        self._deploy([ROOT / "deploy" / "swarm" / "models.yml"], name)
        until(lambda: self._completed(f"{name}_models"), "decoders are installed on each node", 300)
        self.manager.docker("stack", "rm", name)
        until(lambda: not self._networks(f"{name}_alone"), "the job is removed", 120)
        return time.monotonic() - begun_s

    def _deploy(self, files: list[Path], name: str) -> None:
        words = [word for file in files for word in ("--compose-file", str(file))]
        command = ("stack", "deploy", "--resolve-image", "never", *words, name)
        self.manager.docker(*command, environment=self.settings)

    def _completed(self, job: str) -> bool:
        states = self.manager.docker("service", "ps", job, "--format", "{{.CurrentState}}").splitlines()
        return len(states) >= len(self.nodes) and all(state.startswith("Complete") for state in states)

    def inspect(self, service: str, form: str) -> str:
        """What the manager says of a service, in the form of a Go template."""
        return self.manager.docker("service", "inspect", "--format", form, f"{STACK}_{service}")

    def change(self, verb: str, service: str, *options: str) -> None:
        """``docker service VERB``: what follows of it is the manager's work."""
        self.manager.docker("service", verb, "--detach", *options, f"{STACK}_{service}")

    def update_status(self, service: str) -> tuple[str, str]:
        """How its latest update stands, and when that began; empty where it had none."""
        status = json.loads(self.inspect(service, "{{json .UpdateStatus}}")) or {}
        return status.get("State", ""), status.get("StartedAt", "")

    def tasks(self, service: str) -> list[Task]:
        """The service's tasks, former ones left out."""
        lines = self.manager.docker("service", "ps", "--format", _TASK, f"{STACK}_{service}").splitlines()
        found = [task_of(each) for each in lines]
        return [each for each in found if each.meant or each.running]

    def running(self, service: str) -> list[Task]:
        """Those that are meant to run, do, and are healthy; not those on a node that is down."""
        up = set(self.nodes_up())
        return [each for each in self.tasks(service) if each.meant and each.running and each.node in up]

    def nodes_up(self) -> list[str]:
        """Nodes that the manager hears of."""
        lines = self.manager.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}").splitlines()
        return [line.split()[0] for line in lines if line.split()[1] == "Ready"]

    def well(self) -> bool:
        """Whether each service has as many healthy tasks as it is meant to, on nodes that are up; none is updated."""
        return all(len(self.running(each)) == self.replicas(each) for each in SERVICES) and not any(
            self.update_status(each)[0] in _UNDER_WAY for each in SERVICES
        )

    def places(self) -> dict[str, list[str]]:
        """On which nodes each service runs."""
        return {each: sorted(task.node for task in self.running(each)) for each in SERVICES}

    def last_words(self) -> str:
        """What an engineer would ask for first when a scene failed."""
        said = [self.manager.docker("node", "ls"), self.manager.docker("stack", "ps", "--no-trunc", STACK)]
        for each in SERVICES:
            try:
                said.append(self.manager.docker("service", "logs", "--tail", "15", f"{STACK}_{each}", most_s=20))
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                said.append(f"{each}: {error}")
        return "\n\n".join(said)

    def _networks(self, name: str) -> list[str]:
        return self.manager.docker("network", "ls", "--quiet", "--filter", f"name={name}").split()

    def replicas(self, service: str) -> int:
        """How many tasks it is meant to have."""
        return int(self.inspect(service, "{{.Spec.Mode.Replicated.Replicas}}"))


def task_of(line: str) -> Task:
    """A line of ``docker service ps`` in the form that is asked for here."""
    node, desired, current, image = line.split("|")
    return Task(node, meant=desired == "Running", running=current.startswith("Running"), image=image)


def ours(tag: str) -> str:
    """Our image under a tag."""
    return f"{OURS}:{tag}"
