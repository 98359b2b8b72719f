"""How much of the processor the control groups of a process leave it, on trees of plain files in both layouts."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from narrows.runtime.control_groups import CpuLimit, mounted


def limit(folder: Path, mounts: str, own: str) -> CpuLimit:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mounts").write_text(mounts)
    (folder / "own").write_text(own)
    return CpuLimit(tuple(mounted(folder / "mounts")), folder / "own")


def version_2(folder: Path, groups: dict[str, str], own: str) -> CpuLimit:
    mount = folder / "unified"
    for group, cpu_max in {"": "", **groups}.items():
        (mount / group).mkdir(parents=True, exist_ok=True)
        if cpu_max:
            (mount / group / "cpu.max").write_text(cpu_max)
    (mount / "cgroup.controllers").write_text("cpu memory\n")
    return limit(folder, f"cgroup2 {mount} cgroup2 rw 0 0\n", f"0::{own}\n")


def version_1(folder: Path, quotas_us: dict[str, tuple[int, int]], own: str) -> CpuLimit:
    mount = folder / "cpu"
    for group, (quota_us, period_us) in quotas_us.items():
        (mount / group).mkdir(parents=True, exist_ok=True)
        (mount / group / "cpu.cfs_quota_us").write_text(f"{quota_us}\n")
        (mount / group / "cpu.cfs_period_us").write_text(f"{period_us}\n")
    return limit(folder, f"cgroup {mount} cgroup rw,cpu,cpuacct 0 0\n", f"4:cpu,cpuacct:{own}\n3:memory:/other\n")


def test_a_quota_is_cores(tmp_path: Path) -> None:
    assert version_2(tmp_path / "two", {"service": "10000 100000\n"}, "/service").cores() == 0.1
    assert version_1(tmp_path / "one", {"service": (50_000, 100_000)}, "/service").cores() == 0.5


def test_a_quota_is_of_its_own_period(tmp_path: Path) -> None:
    assert version_2(tmp_path / "two", {"service": "10000 20000"}, "/service").cores() == 0.5
    assert version_1(tmp_path / "one", {"service": (1_000, 10_000)}, "/service").cores() == 0.1


def test_other_controllers_that_begin_like_it_are_none(tmp_path: Path) -> None:
    """Each may have a hierarchy of its own, and this process another group in it."""
    controllers = ("cpuset", "cpuacct", "cpu")
    mounts = "".join(f"cgroup {tmp_path / each} cgroup rw,relatime,{each} 0 0\n" for each in controllers)
    for own in controllers:
        (tmp_path / "cpu" / own).mkdir(parents=True)
        (tmp_path / "cpu" / own / "cpu.cfs_quota_us").write_text("70000" if own == "cpu" else "10000")
        (tmp_path / "cpu" / own / "cpu.cfs_period_us").write_text("100000")
    found = limit(tmp_path, mounts, "".join(f"{n}:{each}:/{each}\n" for n, each in enumerate(controllers, 1)))
    assert found.hierarchies == ((1, tmp_path / "cpu"),)
    assert found.cores() == 0.7


def test_where_both_versions_are_mounted_each_has_a_group_of_its_own(tmp_path: Path) -> None:
    mount = tmp_path / "unified"
    for group, cores in (("service", 0.7), ("memory", 0.1)):
        (mount / group).mkdir(parents=True)
        (mount / group / "cpu.max").write_text(f"{round(cores * 1e5)} 100000")
    (mount / "cgroup.controllers").write_text("cpu\n")
    assert limit(tmp_path, f"cgroup2 {mount} cgroup2 rw 0 0\n", "3:memory:/memory\n0::/service\n").cores() == 0.7


def test_the_tightest_of_all_groups_above_counts(tmp_path: Path) -> None:
    groups = {"a": "200000 100000", "a/b": "30000 100000", "a/b/c": "max 100000"}
    assert version_2(tmp_path / "two", groups, "/a/b/c").cores() == 0.3
    quotas = {"a": (20_000, 100_000), "a/b": (-1, 100_000)}
    assert version_1(tmp_path / "one", quotas, "/a/b").cores() == 0.2


def test_in_a_container_the_top_is_ours_whatever_path_the_host_has(tmp_path: Path) -> None:
    assert version_2(tmp_path / "two", {"": "25000 100000"}, "/").cores() == 0.25
    assert version_1(tmp_path / "one", {"": (150_000, 100_000)}, "/docker/0123abcd").cores() == 1.5


@pytest.mark.parametrize("cpu_max", ["max 100000", "", "nonsense", "0 0", "0 100000", "-1 100000", "1", "1 2 3"])
def test_what_says_no_limit_or_nothing_sensible_is_none(tmp_path: Path, cpu_max: str) -> None:
    assert version_2(tmp_path, {"service": cpu_max}, "/service").cores() == math.inf


def test_no_control_groups_are_no_limit(tmp_path: Path) -> None:
    assert limit(tmp_path, "proc /proc proc rw 0 0\n", "0::/\n").cores() == math.inf
    assert CpuLimit((), tmp_path / "absent").cores() == math.inf


def test_a_limit_that_is_changed_is_seen(tmp_path: Path) -> None:
    seen = version_2(tmp_path, {"service": "50000 100000"}, "/service")
    (tmp_path / "unified" / "service" / "cpu.max").write_text("20000 100000")
    assert seen.cores() == 0.2


def test_a_path_that_leads_out_of_the_hierarchy_ends(tmp_path: Path) -> None:
    assert version_2(tmp_path, {"service": "50000 100000"}, "/../service").cores() == math.inf


def test_this_machine_answers() -> None:
    assert CpuLimit.here().cores() > 0


def test_paths_of_any_bytes_beside_ours_or_ours_itself_are_read(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    (tmp_path / "mounts").write_bytes(b"tmpfs /mnt/caf\xe9 tmpfs rw 0 0\n")
    seen = version_2(tmp_path, {odd: "50000 100000"}, "/")
    (tmp_path / "own").write_bytes(b"0::/caf\xe9\n")
    assert mounted(tmp_path / "mounts")
    assert seen.cores() == 0.5


@pytest.mark.parametrize(
    ("name", "in_table"), [("run time", r"run\040time"), ("a#b", r"a\043b"), ("a\tb\\", r"a\011b\134")]
)
def test_a_mount_whose_name_the_kernel_escapes_is_found(tmp_path: Path, name: str, in_table: str) -> None:
    version_2(tmp_path / name, {"service": "50000 100000"}, "/service")
    seen = limit(tmp_path, f"cgroup2 {tmp_path}/{in_table}/unified cgroup2 rw 0 0\n", "0::/service\n")
    assert seen.cores() == 0.5


@pytest.mark.parametrize("odd", ["\u2028", "\x0b", "\x85", "\xa0"])
def test_what_only_python_takes_for_a_blank_or_a_lines_end_is_a_part_of_a_name(tmp_path: Path, odd: str) -> None:
    assert version_2(tmp_path / f"a{odd}b", {f"c{odd}d": "50000 100000"}, f"/c{odd}d").cores() == 0.5
