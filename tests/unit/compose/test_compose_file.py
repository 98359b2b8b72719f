"""What the compose file promises, read from it."""

import re

import pytest

from tests.unit.compose.stack_file import ROOT, knobs, read, services

OURS = {"models", "dispatcher", "autoscaler", "engine-proxy", "page"}
ONCE = {"models", "engines"}


@pytest.mark.parametrize("name", sorted(services()))
def test_every_service_is_confined(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["init"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service.get("restart") == ("no" if name in ONCE else "unless-stopped")


@pytest.mark.parametrize("name", sorted(services().keys() - OURS - {"cameras"}))
def test_public_images_are_pinned(name: str) -> None:
    assert re.search(r":[^:]*\d+\.\d+[^:]*$", services()[name]["image"])


def test_only_the_proxy_holds_the_engines_socket() -> None:
    holders = {name for name, each in services().items() if "docker.sock" in str(each.get("volumes", ""))}
    assert holders == {"engine-proxy"}
    assert services()["engine-proxy"]["networks"] == ["engine"]
    assert {name for name, each in services().items() if "engine" in each.get("networks", [])} == {
        "engine-proxy",
        "autoscaler",
    }


def test_cameras_share_a_network_with_redis_alone() -> None:
    assert services()["cameras"]["networks"] == ["cameras"]
    assert {name for name, each in services().items() if "cameras" in each.get("networks", [])} == {"cameras", "redis"}


def test_redis_refuses_rather_than_forgets() -> None:
    command = services()["redis"]["command"]
    said = dict(zip(command[1::2], command[2::2], strict=True))
    assert said["--maxmemory-policy"] == "noeviction"
    assert said["--appendonly"] == "yes"
    assert said["--appendfsync"] == "everysec"


@pytest.mark.parametrize("name", ["dispatcher", "autoscaler", "triton"])
def test_what_drains_is_given_longer_than_it_takes(name: str) -> None:
    """A dispatcher takes 5 s, Triton 10 s after it was emptied."""
    assert int(services()[name]["stop_grace_period"].removesuffix("s")) >= 15


@pytest.mark.parametrize("name", sorted(services().keys() - ONCE - {"redis-exporter", "dcgm-exporter"}))
def test_what_lasts_has_a_health_check(name: str) -> None:
    dockerfile = {"dispatcher": "orchestrator", "cameras": "edge_client"}.get(name)
    checked = "HEALTHCHECK" in (ROOT / dockerfile / "Dockerfile").read_text() if dockerfile else False
    assert checked or "healthcheck" in services()[name]


def test_the_model_step_is_through_before_triton_starts() -> None:
    assert services()["engines"]["depends_on"]["models"]["condition"] == "service_completed_successfully"
    assert services()["triton"]["depends_on"]["engines"]["condition"] == "service_completed_successfully"


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/compose.cpu.yml"])
def test_every_knob_is_explained(file: str) -> None:
    explained = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert knobs(file) <= explained


def test_the_override_only_changes_services_that_there_are() -> None:
    assert read("deploy/compose.cpu.yml")["services"].keys() <= services().keys()
