from pathlib import Path

import pytest

from lentigo_contract.errors import TooLittleMemoryError
from lentigo_contract.system.resources import memory_limit, require_memory

GIB = 2**30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def container(root: Path, limit: str) -> Path:
    return write(root, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{limit}\n"})


@pytest.mark.parametrize(
    ("text", "limit"), [("max", None), (str(GIB), GIB), ("", None), ("rubbish", None)]
)
def test_a_limit_of_version_2_is_read(tmp_path: Path, text: str, limit: int | None) -> None:
    assert memory_limit(container(tmp_path, text)) == limit


def test_the_tightest_limit_above_holds(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pods/one\n",
            "sys/fs/cgroup/pods/one/memory.max": f"{3 * GIB}\n",
            "sys/fs/cgroup/pods/memory.max": f"{2 * GIB}\n",
        },
    )
    assert memory_limit(root) == 2 * GIB


@pytest.mark.parametrize(
    ("text", "limit"), [("9223372036854771712", None), (str(GIB), GIB), ("-1", None)]
)
def test_a_limit_of_version_1_is_read(tmp_path: Path, text: str, limit: int | None) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu:/docker/abc\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{text}\n",
        },
    )
    assert memory_limit(root) == limit


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    require_memory(2**60, "Training", tmp_path)


def test_as_much_as_is_needed_is_enough(tmp_path: Path) -> None:
    require_memory(GIB, "Training", container(tmp_path, str(GIB)))


def test_too_little_is_told_with_both_figures(tmp_path: Path) -> None:
    with pytest.raises(TooLittleMemoryError) as told:
        require_memory(2 * GIB, "Training", container(tmp_path, str(GIB)))
    assert str(told.value) == (
        "Training needs at least 2,048 MiB of memory, and this container may use 1,024. "
        "Raise its limit."
    )
