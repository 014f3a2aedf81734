import os
from pathlib import Path

import pytest

from lentigo_contract.system import resources
from lentigo_contract.system.resources import available_cores


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_allowed_cores", lambda: 16)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 16),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 16),
        ("", 16),
        ("rubbish", 16),
        ("100000 0", 16),
    ],
)
def test_a_quota_of_version_2_is_kept(tmp_path: Path, quota: str, cores: int) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota + "\n"})
    assert available_cores(root) == cores


def test_the_tightest_quota_above_holds(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pods/one/main\n",
            "sys/fs/cgroup/pods/one/main/cpu.max": "800000 100000\n",
            "sys/fs/cgroup/pods/one/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/pods/cpu.max": "max 100000\n",
        },
    )
    assert available_cores(root) == 3


def test_a_container_that_is_told_the_path_on_its_host_finds_its_own_quota(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/../../kubepods/x\n",
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
        },
    )
    assert available_cores(root) == 4


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "cores"), [("-1", 16), ("150000", 1), ("400000", 4)])
def test_a_quota_of_version_1_is_kept(tmp_path: Path, mount: str, quota: str, cores: int) -> None:
    folder = f"sys/fs/cgroup/{mount}/docker/abc"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n",
            f"{folder}/cpu.cfs_quota_us": quota + "\n",
            f"{folder}/cpu.cfs_period_us": "100000\n",
        },
    )
    assert available_cores(root) == cores


def test_without_control_groups_the_cores_of_the_process_count(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == 16


def test_the_affinity_mask_counts_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
