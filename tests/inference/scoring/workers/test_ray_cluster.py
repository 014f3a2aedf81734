"""What is said of a cluster that cannot score. `ray` is a fake: no cluster is started."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lentigo_inference.errors import ClusterError, MissingExtraError
from lentigo_inference.scoring.prepare import Prepared, prepare, software
from lentigo_inference.scoring.workers.ray_cluster import ClusterWorkers
from lentigo_inference.settings import Settings

SHIPPED = Path(__file__).parents[4] / "models"


class RayError(Exception):
    """As Ray's own, of which its others are."""


class FakeRay:
    """A cluster of one core whose actors answer with what they are given."""

    __version__ = "1.0"
    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=type("T", (RayError,), {}))

    def __init__(
        self,
        versions: Mapping[str, str] | None = None,
        refuses: Exception | None = None,
        fails: Exception | None = None,
    ) -> None:
        self._versions = versions
        self._refuses = refuses
        self._fails = fails
        self.left = False

    def init(self, **_options: object) -> None:
        if self._refuses is not None:
            raise self._refuses

    def put(self, value: object) -> object:
        return value

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 1.0, "memory": 2.0**32}

    def remote(self, **_options: object) -> Callable[[type], Any]:
        call = SimpleNamespace(remote=lambda: "software")
        actor = SimpleNamespace(software=call, score=call)
        return lambda _class: SimpleNamespace(remote=lambda *_given: actor)

    def wait(self, calls: list[str], **_options: object) -> tuple[list[str], list[str]]:
        return calls, []

    def get(self, _call: str) -> object:
        if self._fails is not None:
            raise self._fails
        return self._versions

    def shutdown(self) -> None:
        self.left = True


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(Settings(model_repository=SHIPPED, engine="litert"), timeout_s=30)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> Callable[[FakeRay], None]:
    name = "lentigo_inference.scoring.workers.ray_cluster.require_listener"
    monkeypatch.setattr(name, lambda _address: None)

    def to(ray: FakeRay) -> None:
        monkeypatch.setitem(sys.modules, "ray", ray)
        ClusterWorkers("head:6399", prepared)

    return to


def test_nodes_like_this_machine_take_part(connect: Callable[[FakeRay], None]) -> None:
    connect(FakeRay(software()))


def test_another_version_of_a_package_on_a_node_is_named(
    connect: Callable[[FakeRay], None],
) -> None:
    ours = software()
    theirs = {**ours, "numpy": "0.1"}
    del theirs["pillow"]
    ray = FakeRay(theirs)
    said = (
        rf"other versions than this machine: numpy 0\.1 there and {ours['numpy']} here, "
        rf"pillow is missing there and {ours['pillow']} here\. Install the same on all nodes"
    )
    with pytest.raises(ClusterError, match=said):
        connect(ray)
    assert ray.left


def test_another_version_of_ray_or_python_is_told(connect: Callable[[FakeRay], None]) -> None:
    refusal = RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.0")
    with pytest.raises(ClusterError, match=r"another version of Ray or Python .*Ray 1\.0"):
        connect(FakeRay(refuses=refusal))


def test_a_node_without_lentigo_is_told(connect: Callable[[FakeRay], None]) -> None:
    failure = RayError("ModuleNotFoundError: No module named 'lentigo_inference'")
    with pytest.raises(ClusterError, match="cannot be imported on a node"):
        connect(FakeRay(fails=failure))


def test_an_actor_that_cannot_load_the_model_says_why(connect: Callable[[FakeRay], None]) -> None:
    failure = RayError("The actor died because of an error raised in its creation task\nno space")
    with pytest.raises(ClusterError, match="An actor cannot load the model: no space"):
        connect(FakeRay(fails=failure))


def test_without_ray_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"lentigo-inference\[ray\]"):
        ClusterWorkers("head:6399", prepared)
