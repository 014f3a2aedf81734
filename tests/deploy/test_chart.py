"""The chart in combinations of everything that can be turned on and off: valid, and locked down."""

import functools
import json
import os
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from lentigo_inference.settings import Settings
from lentigo_trainer.cli.main import FAILED, REFUSED
from tests.deploy.chart import (
    CHART,
    ROOT,
    Choice,
    Manifest,
    choices,
    merge,
    pod_specs,
    render,
    run_helm,
    values_of,
)

# The oldest that the chart declares, one between, and the newest whose schemas there are.
KUBERNETES = ("1.31", "1.34", "1.37")

# Kinds of the Prometheus operator, which Kubernetes has no schema of.
OF_OPERATORS = {"ServiceMonitor", "PrometheusRule"}

MINIMAL = {"access": {"keysSecret": "keys"}, "model": {"claim": {"existing": "models"}}}


@pytest.fixture(scope="module")
def rendered(helm: str) -> dict[Choice, list[Manifest]]:
    together = int(os.environ.get("CHART_COMBINATIONS", "2"))
    return {choice: render(helm, values_of(choice)) for choice in choices(together)}


@pytest.fixture(scope="module")
def manifests(rendered: dict[Choice, list[Manifest]]) -> list[Manifest]:
    """Each manifest that any combination makes, once."""
    found = {json.dumps(each, sort_keys=True): each for made in rendered.values() for each in made}
    return list(found.values())


@pytest.fixture(scope="module")
def pods(manifests: list[Manifest]) -> list[tuple[str, Manifest]]:
    found = list(pod_specs(manifests))
    assert {where.split()[0] for where, _ in found} == {"Pod", "Deployment", "Job", "CronJob"}
    return found


@pytest.fixture(scope="module")
def containers(pods: list[tuple[str, Manifest]]) -> list[tuple[str, Manifest]]:
    return [
        (f"{where}, {container['name']}", container)
        for where, pod in pods
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    ]


@pytest.fixture
def cached_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would read a megabyte of definitions for each manifest."""
    cached = functools.cache(utils.schema_contents)
    monkeypatch.setattr(utils, "schema_contents", cached)


def test_the_chart_has_no_lint(helm: str) -> None:
    told = run_helm(helm, "lint", "--strict", str(CHART), values={})
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.usefixtures("cached_schemas")
@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_are_what_kubernetes_takes(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        if manifest["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.usefixtures("cached_schemas")
def test_a_member_that_kubernetes_does_not_know_is_found(manifests: list[Manifest]) -> None:
    deployment = next(each for each in manifests if each["kind"] == "Deployment")
    wrong = merge(deployment, {"spec": {"template": {"spec": {"enableServiceLink": False}}}})
    with pytest.raises(utils.ValidationError, match="enableServiceLink"):
        kubernetes_validate.validate(wrong, KUBERNETES[0], strict=True)


def test_objects_of_a_release_have_their_own_names(
    rendered: dict[Choice, list[Manifest]],
) -> None:
    for choice, made in rendered.items():
        names = [(each["kind"], each["metadata"]["name"]) for each in made]
        assert len(set(names)) == len(names), choice


def test_a_training_that_would_end_the_same_way_again_is_not_repeated(
    manifests: list[Manifest],
) -> None:
    jobs = [each["spec"] for each in manifests if each["kind"] == "Job"]
    jobs += [each["spec"]["jobTemplate"]["spec"] for each in manifests if each["kind"] == "CronJob"]
    assert jobs
    for job in jobs:
        # Kubernetes takes a policy for pods that are never restarted, and no other.
        pod = job["template"]["spec"]
        assert pod["restartPolicy"] == "Never"
        ignored, rule = job["podFailurePolicy"]["rules"]
        condition = {"type": "DisruptionTarget", "status": "True"}
        assert ignored == {"action": "Ignore", "onPodConditions": [condition]}
        assert rule["action"] == "FailJob"
        codes = rule["onExitCodes"]
        assert codes["containerName"] in {each["name"] for each in pod["containers"]}
        assert (codes["operator"], codes["values"]) == ("In", [2, REFUSED])
        assert FAILED not in codes["values"]


def test_no_pod_has_a_token_of_kubernetes(
    manifests: list[Manifest], pods: list[tuple[str, Manifest]]
) -> None:
    for where, pod in pods:
        assert pod["automountServiceAccountToken"] is False, where
        assert pod["serviceAccountName"] == "ward-lentigo", where
    accounts = [each for each in manifests if each["kind"] == "ServiceAccount"]
    assert accounts
    assert all(each["automountServiceAccountToken"] is False for each in accounts)
    assert not {"Role", "RoleBinding", "ClusterRole"} & {each["kind"] for each in manifests}


def test_no_service_of_the_namespace_changes_a_setting(pods: list[tuple[str, Manifest]]) -> None:
    """The kubelet would set LENTIGO_PORT=tcp://... for a Service named lentigo."""
    assert all(pod["enableServiceLinks"] is False for _, pod in pods)


def test_no_pod_runs_as_root_or_shares_the_node(pods: list[tuple[str, Manifest]]) -> None:
    for where, pod in pods:
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }, where
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}, where
        for volume in pod.get("volumes", []):
            kinds = volume.keys() - {"name"}
            assert kinds <= {"persistentVolumeClaim", "emptyDir", "secret", "configMap"}, where
            if "emptyDir" in kinds:
                assert volume["emptyDir"]["sizeLimit"], where


def test_containers_cannot_gain_anything_or_change_their_image(
    containers: list[tuple[str, Manifest]],
) -> None:
    for where, container in containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }, where


def test_containers_have_requests_and_limits(containers: list[tuple[str, Manifest]]) -> None:
    for where, container in containers:
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= container["resources"][kind].keys(), where


def test_images_have_a_version(containers: list[tuple[str, Manifest]]) -> None:
    for where, container in containers:
        name = container["image"].rpartition("/")[2]
        assert re.fullmatch(r"[a-z-]+(:\d+\.\d+\.\d+(-slim)?|@sha256:[0-9a-f]{64})", name), where


def test_what_serves_has_all_three_probes(pods: list[tuple[str, Manifest]]) -> None:
    for where, pod in pods:
        if not where.startswith("Deployment"):
            continue
        (container,) = pod["containers"]
        probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
        assert all(probe["timeoutSeconds"] for probe in probes), where
        if container["name"] == "inference":
            ready = container["readinessProbe"]
            noticed = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
            assert noticed < float(environment(container)["LENTIGO_DRAIN_S"])
            paths = [probe["httpGet"]["path"] for probe in probes]
            assert paths == ["/v2/health/live", "/v2/health/ready", "/v2/health/live"]


def test_the_service_only_reads_models_and_secrets(containers: list[tuple[str, Manifest]]) -> None:
    for where, container in containers:
        if where.endswith(", inference"):
            writable = {
                mount["mountPath"] for mount in container["volumeMounts"] if "readOnly" not in mount
            }
            assert writable <= {"/tmp", "/audit"}, where  # noqa: S108 - the container's


def test_what_helm_test_starts_may_ask_the_service(
    rendered: dict[Choice, list[Manifest]],
) -> None:
    tried = 0
    for choice, made in rendered.items():
        by_kind = {(each["kind"], each["metadata"]["name"]): each for each in made}
        policy = by_kind.get(("NetworkPolicy", "ward-lentigo"))
        if policy is None:
            continue
        labels = by_kind["Pod", "ward-lentigo-test"]["metadata"]["labels"]
        (rule,) = policy["spec"]["ingress"]
        wanted = [peer.get("podSelector", {}).get("matchLabels") for peer in rule["from"]]
        assert any(each and each.items() <= labels.items() for each in wanted), choice
        tried += 1
    assert tried


def test_no_secret_is_made_or_written_into_a_manifest(manifests: list[Manifest]) -> None:
    assert "Secret" not in {each["kind"] for each in manifests}
    for manifest in manifests:
        if manifest["kind"] == "ConfigMap":
            assert "key = " not in json.dumps(manifest)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [({}, 45), ({"LENTIGO_DRAIN_S": 0}, 35), ({"LENTIGO_SHUTDOWN_GRACE_S": 120}, 135)],
)
def test_kubernetes_waits_longer_than_the_service_takes_to_stop(
    helm: str, settings: dict[str, int], seconds: int
) -> None:
    made = render(helm, merge(MINIMAL, {"settings": settings}))
    (pod,) = [pod for where, pod in pod_specs(made) if where.startswith("Deployment")]
    assert pod["terminationGracePeriodSeconds"] == seconds
    given = environment(pod["containers"][0])
    takes = float(given["LENTIGO_DRAIN_S"]) + float(given["LENTIGO_SHUTDOWN_GRACE_S"])
    assert seconds >= takes + 5


def environment(container: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_upload_bytes", 20_971_520),
        ("max_batch_bytes", 100_000_000),
        ("keep_alive_s", 70.5),
        ("log_level", "debug"),
        ("trusted_proxies", "10.0.0.0/8"),
    ],
)
def test_the_service_reads_a_setting_as_it_was_given(
    helm: str, monkeypatch: pytest.MonkeyPatch, setting: str, value: Any
) -> None:
    """Helm writes a large number as 2.097152e+07, if it is let."""
    name = f"LENTIGO_{setting.upper()}"
    made = render(helm, merge(MINIMAL, {"settings": {name: value}}))
    (pod,) = [pod for where, pod in pod_specs(made) if where.startswith("Deployment")]
    for each, text in environment(pod["containers"][0]).items():
        monkeypatch.setenv(each, text)
    read = getattr(Settings(), setting)
    assert read == value or [str(each) for each in read] == [value]


def test_a_changed_configuration_makes_new_pods(helm: str) -> None:
    def annotations(codes: str) -> dict[str, str]:
        made = render(helm, merge(MINIMAL, {"fhirCodes": codes}))
        (deployment,) = [each for each in made if each["kind"] == "Deployment"]
        found: dict[str, str] = deployment["spec"]["template"]["metadata"]["annotations"]
        return found

    assert annotations("[mel]") == annotations("[mel]")
    assert annotations("[mel]") != annotations("[nv]")


def test_one_node_s_volume_is_let_go_before_the_next_pod_starts(helm: str) -> None:
    bound = {"model": {"claim": {"accessMode": "ReadWriteOnce"}}, "replicaCount": 1}
    for values, strategy in ((MINIMAL, "RollingUpdate"), (merge(MINIMAL, bound), "Recreate")):
        (made,) = [each for each in render(helm, values) if each["kind"] == "Deployment"]
        assert made["spec"]["strategy"]["type"] == strategy


def test_the_notice_stands_in_what_helm_prints(helm: str) -> None:
    told = run_helm(helm, "install", "ward", str(CHART), "--dry-run=client", values=MINIMAL)
    assert told.returncode == 0, told.stderr
    _, _, notes = told.stdout.partition("NOTES:")
    assert "Research use only. Not a medical device." in notes


def guide_values() -> list[Any]:
    text = (ROOT / "docs/how-to/kubernetes.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return [yaml.safe_load(block) for block in blocks]


@pytest.mark.parametrize("number", range(len(guide_values())))
def test_the_values_of_the_guide_can_be_installed(helm: str, number: int) -> None:
    first, *_ = blocks = guide_values()
    made = render(helm, merge(first, blocks[number]))
    assert [each for each in made if each["kind"] == "Ingress"]
