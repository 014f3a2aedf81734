import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lentigo_trainer.errors import ClusterError
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.system.ray_cluster import (
    NodeReport,
    connected_cluster,
    describe_node,
    objection,
)

HERE = NodeReport({"Python": "3.11.2", "Lentigo": "1.0", "keras": "3.15.0"}, "secret", ())


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (replace(HERE, versions=HERE.versions | {"Python": "3.12.0"}), "Python 3.12.0, this"),
        (replace(HERE, versions={"Python": "3.11.2", "Lentigo": "1.0"}), r"keras \(none\)"),
        (replace(HERE, token=None), "node b does not see the work folder"),
        (replace(HERE, token="other"), "does not see the work folder"),
        (replace(HERE, missing=("/weights",)), "node b does not see /weights"),
    ],
)
def test_a_node_that_cannot_take_part_is_refused(node: NodeReport, said: str) -> None:
    found = objection("b", node, HERE)
    assert found is not None
    assert re.search(said, found)


def test_a_node_like_this_machine_takes_part(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    here = describe_node(token, [tmp_path])
    assert here.versions["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert objection("a", here, here) is None
    assert describe_node(tmp_path / "none", [tmp_path / "gone"]).missing


def test_without_ray_the_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(ClusterError, match=r"pip install 'lentigo-trainer\[ray\]'"),
        connected_cluster("127.0.0.1:1", tmp_path, [], SilentProgress()),
    ):
        pass
