"""The chart is what Kubernetes accepts and what a platform team's policies ask for, for every value set."""

from __future__ import annotations

import copy
import difflib
import os
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from narrows.cli.sections import all_keys
from tests.integration.helm.chart import CHART, ROOT, VALUE_SETS, VALUES, Helm, Manifest

SNAPSHOTS = Path(__file__).parent / "snapshots"
OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.29", "1.35"
CUSTOM = {"PodMonitor", "PrometheusRule", "ScaledObject"}
STILL = ("--set", "monitoring.rules=false,monitoring.dashboards=false")
"""Rules and dashboards change by themselves: snapshots leave them out."""
NAMES = {"app.kubernetes.io/instance", "secretName", "claimName", "namespace", "kubernetes.io/metadata.name", "image"}


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
@pytest.mark.parametrize("name", VALUE_SETS)
def test_kubernetes_knows_every_field(helm: Helm, name: str, version: str) -> None:
    for manifest in helm.render_set(name).manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_noticed(helm: Helm) -> None:
    deployment = copy.deepcopy(helm.render_set("cpu").of("Deployment")[0])
    deployment["spec"]["template"]["spec"]["topologySpread"] = []
    with pytest.raises(utils.ValidationError, match="topologySpread"):
        kubernetes_validate.validate(deployment, NEWEST_KUBERNETES, strict=True)


@pytest.mark.parametrize("name", VALUE_SETS)
def test_helm_finds_no_fault(helm: Helm, name: str) -> None:
    done = helm.run("lint", "--strict", str(CHART), "--values", str(VALUES / f"{name}.yaml"))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_container_is_as_the_restricted_standard_wants_it(helm: Helm, name: str) -> None:
    rendered = helm.render_set(name)
    for workload, pod in rendered.pods():
        assert pod["securityContext"]["runAsNonRoot"] is True, workload
        assert pod["securityContext"]["runAsUser"] > 0, workload
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, workload
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), workload
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume], workload
    for container, spec in rendered.containers():
        context = spec["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, container
        assert context["readOnlyRootFilesystem"] is True, container
        assert context["capabilities"] == {"drop": ["ALL"]}, container


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_container_has_bounded_memory_and_a_pinned_image(helm: Helm, name: str) -> None:
    for container, spec in helm.render_set(name).containers():
        assert "memory" in spec["resources"]["limits"], container
        assert "cpu" in spec["resources"]["requests"], container
        assert spec["image"].rpartition(":")[2] not in {"", "latest"}, container


@pytest.mark.parametrize("name", VALUE_SETS)
def test_what_serves_says_when_it_is_ready_and_alive(helm: Helm, name: str) -> None:
    for workload, pod in helm.render_set(name).pods():
        for spec in pod["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= spec.keys(), workload


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_volume_is_mounted_and_every_mount_has_its_volume(helm: Helm, name: str) -> None:
    for workload, pod in helm.render_set(name).pods():
        there = {volume["name"] for volume in pod["volumes"]}
        containers = (*pod.get("initContainers", ()), *pod["containers"])
        assert {mount["name"] for each in containers for mount in each["volumeMounts"]} == there, workload


def test_services_budgets_and_policies_select_pods_that_there_are(helm: Helm) -> None:
    rendered = helm.render_set("gpu")
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in rendered.of("Deployment")]
    selectors = [
        *(each["spec"]["selector"] for each in rendered.of("Service")),
        *(each["spec"]["selector"]["matchLabels"] for each in rendered.of("PodDisruptionBudget")),
        *(each["spec"]["selector"]["matchLabels"] for each in rendered.of("PodMonitor")),
        *(each["spec"]["podSelector"]["matchLabels"] for each in rendered.of("NetworkPolicy")),
    ]
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels), selector


def peers(rendered_policy: Manifest, direction: str, key: str) -> dict[str, set[int]]:
    """Whom a policy lets in or out, by component; ``anybody`` where it names nobody."""
    found: dict[str, set[int]] = {}
    for rule in rendered_policy["spec"].get(direction, []):
        who = "anybody"
        for peer in rule.get(key, []):
            selector = {
                **peer.get("namespaceSelector", {}).get("matchLabels", {}),
                **peer.get("podSelector", {}).get("matchLabels", {}),
            }
            who = selector.get("app.kubernetes.io/component") or selector.get("kubernetes.io/metadata.name", "")
        found.setdefault(who, set()).update(port["port"] for port in rule["ports"])
    return found


def test_nobody_speaks_with_triton_but_who_needs_it_and_triton_with_nobody(helm: Helm) -> None:
    rendered = helm.render_set("gpu")
    triton = rendered.one("NetworkPolicy", "cams-triton")
    assert peers(triton, "ingress", "from") == {"dispatcher": {8001}, "autoscaler": {8001, 8002}, "monitoring": {8002}}
    assert "egress" not in triton["spec"]
    assert peers(rendered.one("NetworkPolicy", "cams-dispatcher"), "egress", "to") == {
        "triton": {8001},
        "redis": {6379},
    }
    closed = rendered.one("NetworkPolicy", "cams-closed")["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in closed["egress"] for port in rule["ports"]] == [53, 53]


def rights(helm: Helm, name: str) -> dict[str, list[str]]:
    (role,) = helm.render_set(name).of("Role")
    assert role["rules"][0]["resourceNames"] == ["cams-triton"]
    return {resource: rule["verbs"] for rule in role["rules"] for resource in rule["resources"]}


def test_the_autoscaler_may_do_what_it_does_and_no_more(helm: Helm) -> None:
    assert rights(helm, "gpu") == {"deployments/scale": ["get", "update"], "pods": ["list", "patch"]}


@pytest.mark.parametrize("name", ["keda", "hpa"])
def test_where_another_scales_it_may_look_and_says_that_it_only_says(helm: Helm, name: str) -> None:
    assert rights(helm, name) == {"deployments/scale": ["get"], "pods": ["list"]}
    assert (
        environment(helm.render_set(name).one("Deployment", "cams-autoscaler"))["NARROWS_AUTOSCALE_DRY_RUN"] == "true"
    )


def test_only_the_autoscaler_holds_a_token_of_the_cluster(helm: Helm) -> None:
    holders = {name for name, pod in helm.render_set("gpu").pods() if pod["automountServiceAccountToken"]}
    assert holders == {"cams-autoscaler"}


def environment(deployment: Manifest) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_variable_is_one_that_the_programs_read(helm: Helm, name: str) -> None:
    known = {key.variable for key in all_keys()}
    for deployment in helm.render_set(name).of("Deployment"):
        ours = {variable for variable in environment(deployment) if variable.startswith("NARROWS_")}
        assert ours <= known


def test_either_way_to_scale_wants_one_replica_a_wanted_server(helm: Helm) -> None:
    (scaled,) = helm.render_set("keda").of("ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["query"] == 'max(narrows_scale_servers_wanted{namespace="video"})'
    assert trigger["metadata"]["threshold"] == "1"
    (hpa,) = helm.render_set("hpa").of("HorizontalPodAutoscaler")
    (metric,) = hpa["spec"]["metrics"]
    assert metric["external"]["metric"]["name"] == "narrows_scale_servers_wanted"
    assert metric["external"]["target"] == {"type": "AverageValue", "averageValue": "1"}
    for rendered in (scaled, hpa):
        assert rendered["spec"]["scaleTargetRef"]["name"] == "cams-triton"


@pytest.mark.parametrize("by", ["narrows", "keda", "hpa", "none"])
def test_the_number_of_servers_is_left_to_who_scales(helm: Helm, by: str) -> None:
    """A number that the install says and the upgrade does not, Helm's and kubectl's merges set back to one."""
    for options in ((), ("--is-upgrade",)):
        rendered = helm.render("--set", f"scaling.by={by},triton.replicas=3", *options)
        said = rendered.one("Deployment", "cams-triton")["spec"].get("replicas")
        assert said == (3 if by == "none" else None)


def gpus(helm: Helm, name: str) -> dict[str, Any]:
    triton = helm.render_set(name).one("Deployment", "cams-triton")["spec"]["template"]["spec"]
    limits = triton["containers"][0]["resources"]["limits"]
    return {resource: count for resource, count in limits.items() if resource.startswith("nvidia.com/")}


def test_a_server_asks_for_the_gpu_the_slice_or_the_share_that_is_named(helm: Helm) -> None:
    assert gpus(helm, "gpu") == {"nvidia.com/gpu": 1}
    assert gpus(helm, "mig") == {"nvidia.com/mig-1g.10gb": 1}
    assert gpus(helm, "time-slicing") == {"nvidia.com/gpu.shared": 1}
    assert gpus(helm, "cpu") == {}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("triton.replcas=3", "there is no value triton.replcas; did you mean triton.replicas?"),
        ("networkPolicys=true", "there is no value networkPolicys; did you mean networkPolicies?"),
        ("triton.gpu.enginecacheclaim=x", "did you mean triton.gpu.engineCacheClaim?"),
        ("dispatcher.resources.limit.memory=1Gi", "did you mean dispatcher.resources.limits?"),
        ("page.colour=red", "there is no value page.colour; there are enabled, resources"),
        ("scaling.by=kedda", "value must be one of 'narrows', 'keda', 'hpa', 'none'"),
        ("redis.shards=0", "/redis/shards"),
        ("triton.gpu.resource=gpu", "/triton/gpu/resource"),
    ],
)
def test_a_value_that_is_misspelt_or_makes_no_sense_is_named_with_what_is_meant(
    helm: Helm, wrong: str, told: str
) -> None:
    done = helm.run("template", "cams", str(CHART), "--set", wrong)
    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.parametrize(
    "free", ["global.region=a", "monitoring.labels.release=prometheus", "triton.nodeSelector.gpu=a"]
)
def test_what_a_platform_names_itself_is_not_held_against_the_schema(helm: Helm, free: str) -> None:
    assert helm.run("template", "cams", str(CHART), "--set", free).returncode == 0


def test_rules_and_dashboards_are_those_of_the_compose_stack(helm: Helm, tmp_path: Path) -> None:
    rendered = helm.render_set("gpu")
    (rule,) = rendered.of("PrometheusRule")
    files = sorted((ROOT / "monitoring" / "rules").glob("*.yml"))
    assert rule["spec"]["groups"] == [
        group for file in files for group in yaml.load(file.read_text(), yaml.CSafeLoader)["groups"]
    ]
    dashboards = sorted((ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"))
    shown = {name: text for each in rendered.of("ConfigMap") for name, text in each["data"].items()}
    for dashboard in dashboards:
        assert shown[dashboard.name].strip() == dashboard.read_text().strip()
    if which("promtool"):
        (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": rule["spec"]["groups"]}))
        subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], check=True, capture_output=True)


@pytest.mark.parametrize("name", VALUE_SETS)
def test_what_is_rendered_is_what_was_reviewed(helm: Helm, name: str) -> None:
    """`gpu` whole, the others as what differs from it. To take a change over: UPDATE_SNAPSHOTS=1 pytest ..."""
    whole = helm.render("--values", str(VALUES / "gpu.yaml"), *STILL).text
    text = whole
    if name != "gpu":
        other = helm.render("--values", str(VALUES / f"{name}.yaml"), *STILL).text
        text = (
            "\n".join(difflib.unified_diff(whole.splitlines(), other.splitlines(), "gpu", name, n=1, lineterm=""))
            + "\n"
        )
    kept = SNAPSHOTS / f"{name}.{'yaml' if name == 'gpu' else 'diff'}"
    if "UPDATE_SNAPSHOTS" in os.environ:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text)
    assert text == kept.read_text()


@pytest.mark.parametrize(
    ("without", "told"),
    [
        ("image.orchestrator=null", "orchestrator"),
        ("bundles.serve=null", "serve"),
        ("secrets.page=null", "page"),
        ("secrets.dispatcher=", "/secrets/dispatcher"),
        ("image.pullSecrets[0]=", "/image/pullSecrets/0"),
        ("monitoring.namespace=", "/monitoring/namespace"),
        ("dispatcher.replicas=null", "replicas"),
        ("triton.gpu.resource=null", "resource"),
        ("scaling.by=null", "by"),
        ("bundles.image=", "bundles.image and bundles.existingClaim are both empty"),
        ("scaling.minServers=9", "scaling.minServers 9, scaling.maxServers 8: 0 <= min <= max"),
    ],
)
def test_what_the_chart_cannot_do_without_is_asked_for_by_name(helm: Helm, without: str, told: str) -> None:
    done = helm.run("template", "cams", str(CHART), "--set", without)
    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.parametrize("release", ["1a", "123", "a.b"])
def test_a_release_after_which_no_service_may_be_named_is_refused(helm: Helm, release: str) -> None:
    done = helm.run("template", release, str(CHART))
    assert done.returncode != 0
    assert "services are named after it" in done.stderr


def test_a_name_that_yaml_would_take_for_another_thing_stays_text(helm: Helm) -> None:
    names = ("secrets.dispatcher=123", "secrets.keyring=1e5", "bundles.existingClaim=007", "monitoring.namespace=no")
    done = helm.run("template", "true", str(CHART), "--namespace", "123", "--set-string", ",".join(names), *STILL)
    assert done.returncode == 0, done.stderr

    def words(value: Any, under: str = "") -> list[Any]:
        if isinstance(value, dict):
            return [word for key, each in value.items() for word in words(each, key)]
        if isinstance(value, list):
            return [word for each in value for word in words(each, under)]
        return [value] if under in NAMES else []

    found = [word for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each for word in words(each)]
    assert {"true", "123", "1e5", "007", "no"} <= set(found)
    assert {type(word) for word in found} == {str}
