"""Where control groups are looked for, on trees of plain files in the kernel's two layouts."""

from pathlib import Path

import pytest

from orchestrator.servers.cpu_quota import LEAST_CORES, PERIOD_US, Hierarchy, QuotaUnavailable, find_hierarchy


def tree(folder: Path, mounts: str, own: str) -> tuple[Path, Path]:
    (folder / "mounts").write_text(mounts)
    (folder / "own").write_text(own)
    return folder / "mounts", folder / "own"


def test_without_control_groups_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(QuotaUnavailable, match=r"no control groups .* leave --cpu-quota out"):
        find_hierarchy(*tree(tmp_path, "proc /proc proc rw 0 0\n", "0::/\n"))


def test_a_tree_that_makes_no_quota_files_is_refused_with_its_folders(tmp_path: Path) -> None:
    mount = tmp_path / "cpu"
    (mount / "service").mkdir(parents=True)
    with pytest.raises(QuotaUnavailable, match=r"cpu\.cfs_quota_us"):
        find_hierarchy(*tree(tmp_path, f"cgroup {mount} cgroup rw,cpu,cpuacct 0 0\n", "4:cpu,cpuacct:/service\n"))
    assert list((mount / "service").iterdir()) == [], "no probe is left behind"


def test_version_2_needs_the_cpu_controller(tmp_path: Path) -> None:
    mount = tmp_path / "unified"
    mount.mkdir()
    (mount / "cgroup.controllers").write_text("memory pids\n")
    with pytest.raises(QuotaUnavailable, match="no control groups"):
        find_hierarchy(*tree(tmp_path, f"cgroup2 {mount} cgroup2 rw 0 0\n", "0::/\n"))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("cores", [2.0, 0.1, 0.05, 0.04, 0.01, LEAST_CORES])
def test_a_share_is_the_one_that_was_asked_for_however_small(version: int, cores: float, tmp_path: Path) -> None:
    """Else what was measured under a hundredth of a core had had a twentieth."""
    group = Hierarchy(tmp_path, version).group("small", cores)
    if version == 1:
        quota_us, period_us = (int((group.folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    else:
        quota_us, period_us = map(int, (group.folder / "cpu.max").read_text().split())
    assert quota_us / period_us == group.cores == pytest.approx(cores)
    assert quota_us >= 1_000
    assert period_us <= 1_000_000
    assert (period_us == PERIOD_US) == (cores >= 0.05)


def test_the_period_is_short_enough_for_the_objective() -> None:
    assert PERIOD_US <= 50_000
