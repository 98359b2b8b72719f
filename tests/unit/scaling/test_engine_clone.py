"""A further replica, from what a real engine said of one (recorded/docker_compose.json)."""

import copy
import json

from orchestrator.containers.clone import NUMBER, creation_of, endpoint_of, gpus_of, networks_of
from tests.unit.scaling.recorded_docker import TEMPLATE

GPU = {"Driver": "nvidia", "Count": 1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": None}


def test_all_but_what_is_its_own_is_copied() -> None:
    body = creation_of(TEMPLATE, 4)
    assert body["HostConfig"] == TEMPLATE["HostConfig"]
    assert body["Image"] == TEMPLATE["Image"]  # by id: the tag may have moved
    assert body["Labels"] == TEMPLATE["Config"]["Labels"] | {NUMBER: "4"}
    rest = {key: each for key, each in TEMPLATE["Config"].items() if key not in ("Hostname", "Image", "Labels")}
    assert body.items() >= rest.items()
    assert TEMPLATE["Id"][:12] not in json.dumps(body)


def test_the_first_network_is_that_of_the_creation_and_aliases_are_kept_but_for_its_own() -> None:
    assert networks_of(TEMPLATE) == ["narrows_default", "narrows_second"]
    (attached,) = creation_of(TEMPLATE, 4)["NetworkingConfig"]["EndpointsConfig"].items()
    assert attached == ("narrows_default", {"Aliases": ["narrows-triton-4", "triton", "decoders"]})
    assert endpoint_of(TEMPLATE, "narrows_second", 4) == {"Aliases": ["narrows-triton-4", "triton"]}


def test_a_clone_of_a_clone_is_the_same() -> None:
    clone = copy.deepcopy(TEMPLATE)
    clone |= {"Id": "f" * 64, "Name": "/narrows-triton-4"}
    clone["Config"] |= {"Hostname": "f" * 12, "Labels": TEMPLATE["Config"]["Labels"] | {NUMBER: "4"}}
    for name, endpoint in clone["NetworkSettings"]["Networks"].items():
        endpoint["Aliases"] = [*endpoint_of(TEMPLATE, name, 4)["Aliases"], "f" * 12]
    assert creation_of(clone, 5) | {"Image": ""} == creation_of(TEMPLATE, 5) | {"Image": ""}


def test_a_chosen_hostname_is_kept() -> None:
    named = copy.deepcopy(TEMPLATE)
    named["Config"]["Hostname"] = "decoder"
    assert creation_of(named, 2)["Hostname"] == "decoder"


def test_a_gpu_is_given_in_place_of_the_copied_ones() -> None:
    replica = copy.deepcopy(TEMPLATE)
    replica["HostConfig"]["DeviceRequests"] = [GPU | {"Count": 0, "DeviceIDs": ["0"]}]
    assert gpus_of(replica) == ["0"]
    body = creation_of(replica, 2, gpu="3")
    assert body["HostConfig"]["DeviceRequests"] == [GPU | {"Count": 0, "DeviceIDs": ["3"]}]
    assert creation_of(replica, 2)["HostConfig"] == replica["HostConfig"]
