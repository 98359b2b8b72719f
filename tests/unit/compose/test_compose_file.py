"""What the compose file promises, read from it."""

import re

import pytest

from narrows.ops.secrets import holders
from narrows.runtime.redis.server_options import OPTIONS
from tests.unit.compose.stack_file import ROOT, knobs, read, services

OURS = {"secrets", "models", "dispatcher", "autoscaler", "engine-proxy", "page"}
ONCE = {"secrets", "models", "engines"}
HOLDERS = {
    "redis",
    "dispatcher",
    "autoscaler",
    "engine-proxy",
    "page",
    "cameras",
    "redis-exporter",
    "prometheus",
    "grafana",
}
PROGRAMS = {"dispatcher", "autoscaler", "page"}


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


def _redis_options() -> dict[str, str]:
    command = services()["redis"]["command"]
    return dict(zip(command[1::2], command[2::2], strict=True))


def _mounted(name: str) -> list[str]:
    return [each for each in services()[name].get("volumes", []) if "secrets" in each]


def test_redis_has_tls_and_users_and_no_other_door() -> None:
    said = _redis_options()
    assert (said["--port"], said["--tls-port"]) == ("0", "6379")
    assert said["--aclfile"] == "/run/secrets/users.acl"
    assert "--requirepass" not in said


@pytest.mark.parametrize("name", sorted(services().keys() - {"secrets"}))
def test_a_service_sees_its_own_secrets_alone_and_cannot_change_them(name: str) -> None:
    """The key ring is in the dispatcher's; the vault is nobody's."""
    assert _mounted(name) == ([f"secrets-{name}:/run/secrets:ro"] if name in HOLDERS else [])


def test_who_makes_the_secrets_has_no_network_and_gives_each_its_folder() -> None:
    service = services()["secrets"]
    assert service["network_mode"] == "none"
    assert service["cap_add"] == ["CHOWN", "DAC_OVERRIDE"]
    assert {each.split(":")[1] for each in service["volumes"]} == {f"/secrets/{each.name}" for each in holders.HOLDERS}
    assert {each.name for each in holders.HOLDERS} == HOLDERS | {"vault"}


@pytest.mark.parametrize(
    "holder", [each for each in holders.HOLDERS if each.name != "vault"], ids=lambda each: each.name
)
def test_secrets_belong_to_the_user_of_the_container(holder: holders.Holder) -> None:
    own = "1000:1000"  # of our images' USER
    assert services()[holder.name].get("user", own) == f"{holder.uid}:{holder.gid}"


@pytest.mark.parametrize("name", sorted(HOLDERS))
def test_secrets_are_made_before_they_are_needed(name: str) -> None:
    def before(service: str) -> set[str]:
        needed = services()[service].get("depends_on", {})
        return {*needed, *(each for name in needed for each in before(name))}

    assert "secrets" in before(name)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_programs_address_and_tokens_are_files(name: str) -> None:
    environment = services()[name]["environment"]
    assert environment["NARROWS_REDIS_URL"] == "file:/run/secrets/redis.url"
    assert environment["NARROWS_HTTP_TOKEN"] == "file:/run/secrets/http-token"


def test_the_engine_proxy_and_the_autoscaler_alone_have_its_token() -> None:
    proxy, autoscaler = services()["engine-proxy"]["environment"], services()["autoscaler"]["environment"]
    token = "file:/run/secrets/engine-token"
    assert proxy["NARROWS_ENGINE_PROXY_TOKEN"] == autoscaler["NARROWS_AUTOSCALE_DOCKER_TOKEN"] == token


def test_dispatchers_refuse_open_packets_and_the_demos_cameras_seal() -> None:
    environment = services()["dispatcher"]["environment"]
    assert (environment["NARROWS_KEYS"], environment["NARROWS_REQUIRE_SEALED"]) == ("/run/secrets/keyring", "true")
    script = (ROOT / "deploy/demo/camera.sh").read_text()
    assert "secrets=/run/secrets/demo-$number" in script
    assert 'NARROWS_REDIS_URL="file:$secrets.url" NARROWS_KEY_FILE="$secrets.key"' in script


def test_no_secret_is_in_the_environment_or_a_command() -> None:
    for name, service in services().items():
        said = {str(key): str(value) for key, value in service.get("environment", {}).items()}
        bare = {
            key
            for key, value in said.items()
            if any(word in key for word in ("PASSWORD", "TOKEN", "AUTH")) and "/run/secrets/" not in value
        }
        assert not bare, name
        assert "password" not in str(service.get("command", "")), name
    asked = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert asked == [], "nothing has to be filled in"


def test_redis_refuses_rather_than_forgets() -> None:
    said = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in _redis_options().items()}
    assert {f"--{option.name}": option.setting for option in OPTIONS}.items() <= said.items()


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


def test_grafana_is_told_to_ask_nobody_for_news_updates_or_faces() -> None:
    said = services()["grafana"]["environment"]
    off = ("ANALYTICS_REPORTING", "ANALYTICS_CHECK_FOR_UPDATES", "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "NEWS_NEWS_FEED")
    assert {said.get(f"GF_{each}_ENABLED", said.get(f"GF_{each}")) for each in off} == {"false"}
    assert said["GF_SNAPSHOTS_EXTERNAL_ENABLED"] == "false"
    assert said["GF_SECURITY_DISABLE_GRAVATAR"] == said["GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED"] == "true"
