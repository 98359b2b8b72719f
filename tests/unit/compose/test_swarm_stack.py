"""The stack for Swarm is the compose file's, service by service, and what Swarm asks for beside it."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from narrows.contract.json_text import decode_object
from narrows.contract.seal.key_folder import KeyFolder
from narrows.ops.secrets import SecretsPlan, holders, provision
from tests.unit.compose.stack_file import ROOT, knobs, read, services

FILES = ("stack.yml", "stack.gpu.yml", "stack.cpu.yml", "models.yml", "engines.yml")
STACK = read("deploy/swarm/stack.yml")
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
JOBS = {name: read(f"deploy/swarm/{name}.yml")["services"][name] for name in ("models", "engines")}
ALL = SERVICES | JOBS
LEFT_OUT = {"secrets", "dcgm-exporter", "cameras"}
"""`narrows keys stack` is run by hand; a profiling exporter and the demo are no part of a fleet's stack."""

# What Swarm has in place of compose's own variables. None: it has none.
OTHER_ENVIRONMENT: dict[str, dict[str, str | None]] = {
    "dispatcher": {"NARROWS_TRITON": "dns:tasks.triton:8001", "NARROWS_KEYS": "/tmp/keyring"},
    "autoscaler": {
        "NARROWS_AUTOSCALE_ENGINE": "swarm",
        "NARROWS_AUTOSCALE_SERVICE": "${STACK:-narrows}_triton",
        "NARROWS_AUTOSCALE_PROJECT": None,
        "NARROWS_AUTOSCALE_NETWORK": None,
        "NARROWS_AUTOSCALE_GPU": None,
    },
    "engine-proxy": {
        "NARROWS_ENGINE_PROXY_SWARM_SERVICE": "${STACK:-narrows}_triton",
        "NARROWS_ENGINE_PROXY_PROJECT": None,
        "NARROWS_ENGINE_PROXY_SERVICE": None,
        "NARROWS_ENGINE_PROXY_GPU": None,
    },
}
START_FIRST = {"dispatcher", "autoscaler", "engine-proxy", "redis-exporter"}
ASK_FOR_A_PASSWORD = {"redis", "page", "grafana"}
"""Compose binds ports to loopback; those of Swarm are open on every address of a node."""


def _same(*keys: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda service: {key: service.get(key) for key in keys}


def _image(service: Mapping[str, Any]) -> str:
    image: str = service["image"]
    return image.removeprefix("${REGISTRY:-}")


def _environment(name: str) -> dict[str, str]:
    expected = services()[name].get("environment", {}) | OTHER_ENVIRONMENT.get(name, {})
    return {key: value for key, value in expected.items() if value is not None}


def _named_volumes(service: Mapping[str, Any]) -> set[str]:
    """Those that keep data; secrets, folders of the checkout and the socket come otherwise."""
    named = {each for each in service.get("volumes", []) if isinstance(each, str)}
    return {each for each in named if re.match(r"[a-z]", each) and not each.startswith("secrets-")}


def _of_stack(holder: str) -> dict[str, dict[str, Any]]:
    return {each["target"]: each for each in SERVICES[holder].get("secrets", [])}


def test_every_service_of_compose_is_there() -> None:
    assert ALL.keys() == services().keys() - LEFT_OUT


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_service_runs_as_in_compose(name: str) -> None:
    compose, swarm = services()[name], ALL[name]
    same = _same(
        "command", "user", "healthcheck", "stop_grace_period", "init", "read_only", "cap_drop", "cap_add", "logging"
    )
    assert same(swarm) == same(compose)
    assert _image(swarm) == compose["image"]
    assert swarm.get("environment", {}) == _environment(name)
    assert _named_volumes(swarm) == _named_volumes(compose)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_the_networks_and_limits_of_compose(name: str) -> None:
    compose, swarm = services()[name], SERVICES[name]
    assert swarm["networks"] == compose["networks"]
    limits = compose.get("deploy", {}).get("resources", {}).get("limits")
    assert swarm["deploy"].get("resources", {}).get("limits") == limits


def test_shared_memory_keeps_its_mode_whoever_starts_beside_whom() -> None:
    """Without `nocopy` a container that is made while it is empty has Docker take the image's mode, root's alone."""
    for name in ("triton", "dispatcher"):
        assert "shared-memory:/dev/shm:nocopy" in SERVICES[name]["volumes"]


def test_networks_are_closed_as_in_compose_and_encrypted_between_nodes() -> None:
    compose = read("docker-compose.yml")["networks"]
    assert STACK["networks"].keys() == compose.keys()
    for name, network in STACK["networks"].items():
        closed = bool((compose[name] or {}).get("internal"))
        assert (network["driver"], bool(network.get("internal"))) == ("overlay", closed)
        assert ("encrypted" in network.get("driver_opts", {})) == closed


def test_a_processors_triton_is_composes() -> None:
    swarm = read("deploy/swarm/stack.cpu.yml")["services"]["triton"]
    compose = read("deploy/compose.cpu.yml")["services"]["triton"]
    assert swarm["command"] == compose["command"]
    assert swarm["deploy"]["resources"] == compose["deploy"]["resources"]
    slots = read("deploy/compose.cpu.yml")["services"]["autoscaler"]["environment"]
    assert swarm["deploy"]["placement"]["max_replicas_per_node"] == slots["NARROWS_AUTOSCALE_MAX_SERVERS_PER_HOST"]


def test_a_triton_takes_a_gpu_of_its_own() -> None:
    asked = read("deploy/swarm/stack.gpu.yml")["services"]["triton"]["deploy"]["resources"]["reservations"]
    assert asked == {"generic_resources": [{"discrete_resource_spec": {"kind": "gpu", "value": 1}}]}


# ---- confinement


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_service_is_confined(name: str) -> None:
    service = ALL[name]
    assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True)
    assert "cap_add" not in service
    assert "privileged" not in service
    assert {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 64 << 20}} in service["volumes"]


def test_no_process_gains_privileges_on_a_node_with_our_daemons_file() -> None:
    data = (ROOT / "deploy/swarm/daemon.json").read_bytes()
    assert decode_object(data, what="daemon.json", most_bytes=1024)["no-new-privileges"] is True


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_said_that_swarm_ignores(file: str) -> None:
    """`docker stack deploy` says so of these, and goes on without them."""
    ignored = {
        "build",
        "container_name",
        "depends_on",
        "links",
        "network_mode",
        "restart",
        "security_opt",
        "tmpfs",
        "shm_size",
    }
    for service in read(f"deploy/swarm/{file}")["services"].values():
        assert not ignored & service.keys()


def test_the_proxy_alone_holds_the_engines_socket_and_runs_on_a_manager() -> None:
    assert {name for name, each in ALL.items() if "docker.sock" in str(each["volumes"])} == {"engine-proxy"}
    assert SERVICES["engine-proxy"]["networks"] == ["engine"]
    assert SERVICES["engine-proxy"]["deploy"]["placement"]["constraints"] == ["node.role == manager"]


def test_only_what_asks_for_a_password_has_a_port() -> None:
    assert {name for name, each in ALL.items() if "ports" in each} == ASK_FOR_A_PASSWORD


# ---- secrets


def test_each_service_has_the_files_that_are_made_for_it_and_no_other(tmp_path: Path) -> None:
    provision(SecretsPlan(tmp_path, 4, 1, (), "rediss://redis:6379/0", "rediss://localhost:6379/0", ()))
    for holder in holders.HOLDERS:
        if holder in (holders.VAULT, holders.CAMERAS):
            continue
        made = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / holder.name).rglob("*") if path.is_file()}
        given = {STACK["secrets"][each["source"]]["file"] for each in _of_stack(holder.name).values()}
        assert given == {f"${{SECRETS_FOLDER:-./secrets}}/{file}" for file in made}
    assert {each["source"] for service in SERVICES.values() for each in service.get("secrets", [])} == STACK[
        "secrets"
    ].keys()


@pytest.mark.parametrize("name", sorted(name for name, each in SERVICES.items() if "secrets" in each))
def test_secrets_are_their_users_alone(name: str) -> None:
    holder = next(each for each in holders.HOLDERS if each.name == name)
    for target, secret in _of_stack(name).items():
        assert (secret["uid"], secret["gid"], secret["mode"]) == (str(holder.uid), str(holder.gid), 0o400)
        assert secret["source"] == f"{name}-{target}"


@pytest.mark.parametrize(("kind", "knob"), [("secrets", "SECRETS_VERSION"), ("configs", "CONFIGS_VERSION")])
def test_what_swarm_cannot_change_has_a_name_with_a_version(kind: str, knob: str) -> None:
    for name, each in STACK[kind].items():
        assert each["name"] == f"${{STACK:-narrows}}-{name}-${{{knob}:-1}}"


def test_no_secret_is_in_the_environment_or_a_command() -> None:
    for name, service in ALL.items():
        for key, value in service.get("environment", {}).items():
            if any(word in key for word in ("PASSWORD", "TOKEN", "AUTH", "REDIS_URL")):
                assert "/run/secrets/" in value, f"{name}: {key}"
        assert "password" not in str(service.get("command", "")), name


def test_a_dispatcher_starts_with_a_key_folder_that_is_its_own(tmp_path: Path) -> None:
    """As Swarm gives it, a file in a folder that others may enter, the key ring would be refused."""
    provision(SecretsPlan(tmp_path / "made", 4, 1, (), "rediss://redis:6379/0", "rediss://localhost:6379/0", ()))
    given = tmp_path / "secrets"
    given.mkdir()
    (given / "keyring.json").write_bytes((tmp_path / "made/dispatcher/keyring/keyring.json").read_bytes())
    (tmp_path / "narrows").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "narrows").chmod(0o700)
    shell, options, script, name = SERVICES["dispatcher"]["entrypoint"]
    script = (
        script.replace("$$", "$").replace("/run/secrets", str(given)).replace("/tmp/keyring", f"{tmp_path}/keyring")
    )
    done = subprocess.run(
        [shell, options, script, name, *SERVICES["dispatcher"]["command"], "two words"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "orchestrate two words\n"
    assert KeyFolder(tmp_path / "keyring").read().newest.key_id == 1


# ---- configs


def test_every_file_that_prometheus_and_grafana_read_is_a_config() -> None:
    files = {(ROOT / "deploy/swarm" / each["file"]).resolve() for each in STACK["configs"].values()}
    monitoring = ROOT / "monitoring"
    folders = ("rules/*.yml", "grafana/provisioning/*/*", "grafana/dashboards/*.json")
    needed = {path for folder in folders for path in monitoring.glob(folder)}
    assert files == needed | {
        monitoring / "prometheus.yml",
        monitoring / "alertmanager.yml",
        ROOT / "deploy/redis/ask-redis",
    }
    used = {each["source"] for service in SERVICES.values() for each in service.get("configs", [])}
    assert used == STACK["configs"].keys()


def test_the_engines_job_has_every_module_of_its_program() -> None:
    declared = read("deploy/swarm/engines.yml")["configs"]
    files = {
        each["target"].removeprefix("/build/"): declared[each["source"]]["file"] for each in JOBS["engines"]["configs"]
    }
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "orchestrator/engine_build").glob("*.py")}
    assert files == {module: f"../../{module}" for module in modules}
    assert (JOBS["engines"]["entrypoint"], JOBS["engines"]["working_dir"]) == (
        services()["engines"]["entrypoint"],
        services()["engines"]["working_dir"],
    )


# ---- how tasks come and go


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_name_answers_with_its_tasks_on_any_kernel(name: str) -> None:
    """Without IP_VS a kernel has no virtual addresses, and a virtual one would hide the single Triton."""
    assert SERVICES[name]["deploy"]["endpoint_mode"] == "dnsrr"
    assert {port["mode"] for port in SERVICES[name].get("ports", [])} <= {"host"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_tasks_are_replaced_one_by_one_and_a_failed_update_goes_back(name: str) -> None:
    deploy = SERVICES[name]["deploy"]
    update, rollback = deploy["update_config"], deploy["rollback_config"]
    order = "start-first" if name in START_FIRST else "stop-first"
    assert (update["parallelism"], update["order"], update["failure_action"]) == (1, order, "rollback")
    assert (rollback["parallelism"], rollback["order"], rollback["failure_action"]) == (1, order, "pause")


def test_what_holds_a_port_or_data_of_its_own_makes_way_first() -> None:
    own = {
        name for name, each in SERVICES.items() if "ports" in each or any("-data:" in str(v) for v in each["volumes"])
    }
    assert own.isdisjoint(START_FIRST)


def test_redis_is_one_and_stays_where_its_data_is() -> None:
    deploy = SERVICES["redis"]["deploy"]
    assert (deploy["replicas"], deploy["placement"]["constraints"]) == (1, ["node.labels.narrows.redis == true"])


def test_the_service_that_is_scaled_is_the_one_that_the_proxy_lets_through() -> None:
    assert (
        SERVICES["autoscaler"]["environment"]["NARROWS_AUTOSCALE_SERVICE"]
        == SERVICES["engine-proxy"]["environment"]["NARROWS_ENGINE_PROXY_SWARM_SERVICE"]
    )
    assert SERVICES["triton"]["deploy"]["mode"] == "replicated"


@pytest.mark.parametrize("name", sorted(JOBS))
def test_jobs_end_on_each_node_that_gets_models(name: str) -> None:
    file = read(f"deploy/swarm/{name}.yml")
    assert JOBS[name]["deploy"]["mode"] == "global-job"
    assert JOBS[name]["deploy"]["restart_policy"]["condition"] == "on-failure"
    assert all(file["networks"][network]["internal"] for network in JOBS[name]["networks"])
    assert file["volumes"]["models"] == STACK["volumes"]["models"]


@pytest.mark.parametrize("file", FILES)
def test_every_knob_is_explained(file: str) -> None:
    explained = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert knobs(f"deploy/swarm/{file}") <= explained
