"""What coding takes counts: on the device to code, on the server to decode, of tensors and of pictures."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from narrows.contract.bundle.split_table import plan_table
from narrows.contract.errors import ProfilingFailed
from narrows.models.split.coding_probe import Job, measured, ways_of
from narrows.models.split.coding_times import CodingTime, Machines, pictures_job, reference_job, time_job
from narrows.models.split.cuts import cut_at
from narrows.models.split.device import Coded, Effort, Local, Measured, Remote
from narrows.models.split.export import write_split_bundle
from narrows.models.split.feeding import Feeding, Normalisation
from narrows.models.split.frontier import all_designs
from narrows.models.split.profile import as_record, coding_speed, profile
from narrows.models.split.shipping import Classes
from tests.workshop.split.networks import RESIDUAL, Told, opened, unmeasured
from tests.workshop.split.test_split_export import LABEL, PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CAMERA, CLOUD = Told(coding_ms=(3.0, 100.0)), Told(coding_ms=(100.0, 2.0))
BOTH = Machines(CAMERA, CLOUD)


@dataclass(frozen=True)
class WithoutCoder:
    """A device that lacks the package."""

    def measure(self, model: bytes, effort: Effort) -> Measured:
        raise AssertionError("it is not asked")

    def time_coding(self, job: Job) -> Coded:
        raise ProfilingFailed("No module named 'narrows'")


def test_a_design_s_device_codes_and_its_server_decodes(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    feeding = Feeding.of(network, Normalisation())
    designs = all_designs(unmeasured(network, BOTH), feeding, PICTURES, lambda _: None)
    for design in designs:
        coding = (0.0, 0.0) if design.kind == "device only" else (3.0, 2.0)
        assert (design.encode_ms, design.decode_ms) == coding
    served = [each for each in designs if each.kind == "server only"]
    assert {(each.device_ms, each.server_ms) for each in served} == {(3.0, 10.0)}
    split = [each for each in designs if each.tensors == ("a",)]
    assert {(each.device_ms, each.server_ms) for each in split} == {(4.0, 9.0)}
    assert {each.sent.rsplit(", ")[1] for each in split} == {"rANS", "packed"}


def test_a_bundle_s_plan_counts_what_coding_takes(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    found, feeding = unmeasured(network, BOTH), Feeding.of(network, Normalisation())
    cuts = [cut_at(network, ["b"])]
    bundle = write_split_bundle(found, cuts, feeding, PICTURES, LABEL, Classes(), tmp_path / "bundle", bits=(8, 4))
    (cut,) = bundle.manifest.cuts
    assert (cut.head_ms, cut.tail_ms) == (2.0, 6.0)
    assert {(level.encode_ms, level.decode_ms) for level in cut.levels} == {(3.0, 2.0)}
    for design in plan_table(bundle.manifest).designs:
        assert (design.device_s, design.server_s) == pytest.approx((5e-3, 8e-3))
        assert design.device_energy_j == pytest.approx(5e-3 * 2 / 8 * 5 / 2)


def test_a_profile_says_it_by_the_number_of_values(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    found = profile(network, CAMERA, CLOUD, Effort(1, 0.0))
    speed = coding_speed(found)
    assert speed.encode_ns / speed.decode_ns == pytest.approx(1.5)
    cuts = {tuple(cut["tensors"]): cut for cut in as_record(found, speed)["cuts"]}
    assert cuts["b",]["encode_ms"] == pytest.approx(64 * speed.encode_ns / 1e6)
    assert cuts["b", "c"]["encode_ms"] == pytest.approx(2 * cuts["b",]["encode_ms"])
    assert cuts["b",]["decode_ms"] == pytest.approx(64 * speed.decode_ns / 1e6)


def test_a_quota_stretches_what_the_processor_does() -> None:
    (time,) = time_job(Machines(Told(coding_ms=(3.0, 2.0), stretch=10.0)), reference_job(), 1.0).times
    assert time == CodingTime(30.0, 20.0)
    with_server = time_job(Machines(Told(coding_ms=(3.0, 0.0), stretch=10.0), CLOUD), reference_job(), 1.0)
    assert with_server.times == (CodingTime(30.0, 2.0),)


def test_a_device_without_the_coder_has_an_estimate_that_says_so() -> None:
    found = time_job(Machines(WithoutCoder(), CLOUD), reference_job(), 4.0)
    assert found.times == (CodingTime(400.0, 2.0),)
    assert found.source == "estimate: 4 x this machine's, for No module named 'narrows'"
    with pytest.raises(ProfilingFailed):
        time_job(Machines(WithoutCoder()), reference_job(), 4.0)


def test_an_export_says_that_times_are_an_estimate(tmp_path: Path) -> None:
    network, said = opened(RESIDUAL, tmp_path), list[str]()
    found = unmeasured(network, Machines(WithoutCoder(), CLOUD))
    cuts = [cut_at(network, ["b"])]
    feeding = Feeding.of(network, Normalisation())
    write_split_bundle(found, cuts, feeding, PICTURES, LABEL, Classes(), tmp_path / "b", bits=(8,), say=said.append)
    assert any("times of coding are an estimate: 1 x" in line for line in said)


def test_every_way_codes_what_it_decodes_and_is_timed() -> None:
    job = pictures_job([PICTURES[0].repeat(8, 0).repeat(8, 1)], [("JPEG", 95), ("WebP", 60)])
    assert len(ways_of(job)) == 2
    tensor = reference_job()
    packed = Job(tensor.tensors, tensor.bits, tensor.plan, packed=True)
    assert len(ways_of(packed)) == 2
    encode, decode = (cast("Callable[[], list[NDArray[Any]]]", once) for once in ways_of(packed)[1])
    (bits,), (values,) = encode(), decode()
    assert len(bits) == tensor.tensors[0].array().size
    assert np.abs(values - tensor.tensors[0].array()).max() < 1.0
    found = measured(packed)
    assert all(both > 0 for way in found["processor_ms"] for both in way)
    assert found["stretch"] >= 1


def test_the_probe_runs_by_itself_here_and_under_a_share(tmp_path: Path) -> None:
    (found,) = Local().time_coding(reference_job()).processor_ms
    assert min(found) > 0
    slowed = Local(cores=0.2).time_coding(reference_job())
    assert slowed.stretch > 2
    with pytest.raises(ProfilingFailed, match="cannot be run"):
        Local((str(tmp_path / "nowhere"),)).time_coding(reference_job())


@pytest.mark.skipif(os.getuid() != 0, reason="sshd for one connection runs as root")
def test_a_device_behind_ssh_codes_there(ssh_server: str) -> None:
    (found,) = Remote(ssh_server, sys.executable).time_coding(reference_job()).processor_ms
    assert min(found) > 0
