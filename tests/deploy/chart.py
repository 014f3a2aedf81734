"""The Helm chart, rendered for values, and the values that are tried."""

import itertools
import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "deploy/helm/lentigo"

Values = dict[str, Any]
Manifest = dict[str, Any]

_TO_ANYWHERE: Final = [{"ports": [{"port": 443, "protocol": "TCP"}]}]

# What an operator may turn on and off. Each choice is whole in itself, so that any of one feature
# goes with any of another, but for what `is_possible` leaves out.
FEATURES: Final[dict[str, dict[str, Values]]] = {
    "access": {
        "keys": {"access": {"keysSecret": "lentigo-keys"}},
        "tokens": {
            "settings": {
                "LENTIGO_OIDC_ISSUER": "https://login.example/realms/ward",
                "LENTIGO_OIDC_AUDIENCE": "lentigo",
            }
        },
        "anonymous": {"access": {"allowAnonymous": True}},
    },
    "model": {
        "claim": {"model": {"claim": {"existing": "models"}}},
        "new claim": {"model": {"claim": {"create": True, "storageClass": "nfs"}}},
        "fetched": {"model": {"fetch": {"url": "https://models.example/4.tar.gz"}}},
        "fetched into a claim": {
            "model": {"claim": {"existing": "models"}, "fetch": {"urlSecret": "address"}}
        },
    },
    "signed": {"yes": {"model": {"keyConfigMap": "lentigo-model-key"}}, "no": {}},
    "audit": {
        "required": {
            "audit": {"enabled": True, "keySecret": "audit", "claim": {"existing": "trail"}}
        },
        "best-effort": {
            "audit": {
                "enabled": True,
                "mode": "best-effort",
                "keySecret": "audit",
                "claim": {"create": True},
            }
        },
        "none": {},
    },
    "replicas": {
        "one": {"replicaCount": 1},
        "three": {"replicaCount": 3},
        "by processor": {"autoscaling": {"enabled": True}},
        "by queue": {"autoscaling": {"enabled": True, "queueImages": 8}},
    },
    "ingress": {
        "yes": {
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "lentigo.example",
                "tlsSecret": "lentigo-tls",
                "annotations": {"example/body-size": "64m"},
            }
        },
        "no": {},
    },
    "network policy": {
        "yes": {
            "networkPolicy": {
                "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
                "egress": _TO_ANYWHERE,
                "gatewayEgress": _TO_ANYWHERE,
                "gatewayIngressFrom": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
                "trainingEgress": _TO_ANYWHERE,
            }
        },
        "no": {"networkPolicy": {"enabled": False}},
    },
    "monitoring": {
        "yes": {
            "monitoring": {
                "serviceMonitor": {"enabled": True, "keySecret": "metrics", "labels": {"a": "b"}},
                "alerts": True,
            }
        },
        "no": {},
    },
    "gateway": {
        "yes": {
            "gateway": {
                "enabled": True,
                "keySecret": "gateway",
                "config": '[archive]\nurl = "http://orthanc:8042/dicom-web"\n\n'
                '[sources.orthanc]\nurl = "http://orthanc:8042"\n',
            }
        },
        "with DICOM": {
            "gateway": {
                "enabled": True,
                "keySecret": "gateway",
                "filesSecret": "passwords",
                "claim": {"existing": "worklist"},
                "dicom": {"enabled": True, "type": "LoadBalancer"},
                "config": '[archive]\nurl = "http://orthanc:8042/dicom-web"\n\n'
                '[sources.listener]\nhost = "0.0.0.0"\ncallers = ["ARCHIVE"]\n',
            }
        },
        "no": {},
    },
    "training": {
        "job": {
            "training": {
                "job": {"enabled": True},
                "dataClaim": "ham10000",
                "signingKeySecret": "signing",
                "arguments": ["--epochs", "5"],
            }
        },
        "both": {
            "training": {
                "job": {"enabled": True, "run": "second"},
                "cronJob": {"enabled": True},
                "dataClaim": "ham10000",
                "weightsClaim": "weights",
                "workClaim": {"existing": "work"},
                "signingKeySecret": "signing",
            }
        },
        "no": {},
    },
    "the rest": {
        "defaults": {},
        "set": {
            "image": {
                "repository": "registry.example:5000/lentigo",
                "digest": "sha256:" + "0" * 64,
            },
            "imagePullSecrets": [{"name": "registry"}],
            "podDisruptionBudget": {"enabled": False},
            "prevalence": {
                "akiec": 0.02,
                "bcc": 0.05,
                "bkl": 0.14,
                "df": 0.02,
                "mel": 0.03,
                "nv": 0.72,
                "vasc": 0.02,
            },
            "fhirCodes": '[mel]\n"http://snomed.info/sct" = "93655004"\n',
            "nodeSelector": {"zone": "a"},
            "tolerations": [{"key": "lentigo", "operator": "Exists"}],
            "priorityClassName": "clinical",
            "podAnnotations": {"note": "yes"},
        },
    },
}

Choice = tuple[str, ...]
"""One choice for each feature, in their order."""


def is_possible(choice: Choice) -> bool:
    """Return whether the chart takes this combination; the others have tests of their own."""
    chosen = dict(zip(FEATURES, choice, strict=True))
    fetched = chosen["model"].startswith("fetched")
    trains = chosen["training"] != "no"
    return not (
        (chosen["ingress"] == "yes" and chosen["access"] == "anonymous")
        or (fetched and chosen["signed"] == "no")
        or (trains and chosen["model"] == "fetched")
    )


def choices(together: int) -> list[Choice]:
    """Return combinations in which so many choices that go together do so at least once.

    There are 23,040 in all. Faults come from one, two or three features at a time, as a rule (Kuhn,
    Wallace and Gallo, IEEE TSE 30:418, 2004).
    """
    draw = random.Random(23)
    everything = [each for each in itertools.product(*FEATURES.values()) if is_possible(each)]
    draw.shuffle(everything)
    missing = {part for each in everything for part in _parts(each, together)}
    chosen = []
    while missing:
        candidates = draw.sample(everything, 60)
        # The last ones may be in none of a few that were drawn.
        candidates.append(next(each for each in everything if missing & _parts(each, together)))
        best = max(candidates, key=lambda each: len(missing & _parts(each, together)))
        chosen.append(best)
        missing -= _parts(best, together)
    return chosen


def _parts(choice: Choice, together: int) -> set[tuple[tuple[int, str], ...]]:
    return set(itertools.combinations(enumerate(choice), together))


def values_of(choice: Choice) -> Values:
    """Return the values of a combination."""
    values: Values = {}
    for feature, option in zip(FEATURES, choice, strict=True):
        values = merge(values, FEATURES[feature][option])
    return values


def merge(first: Values, second: Mapping[str, Any]) -> Values:
    """Merge two trees of values, as Helm does; the second wins."""
    merged = dict(first)
    for name, value in second.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[name] = merge(old, value)
        else:
            merged[name] = value
    return merged


def find_helm() -> str | None:
    """Return the path of helm: on PATH, or where deploy/helm/get-helm.sh puts it."""
    fetched = ROOT / ".cache/helm/helm"
    return shutil.which("helm") or (str(fetched) if fetched.exists() else None)


def run_helm(helm: str, *arguments: str, values: Values) -> subprocess.CompletedProcess[str]:
    """Run a command of helm with values on standard input."""
    return subprocess.run(
        [helm, *arguments, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )


def render(helm: str, values: Values) -> list[Manifest]:
    """Return what the chart makes of values."""
    told = run_helm(helm, "template", "ward", str(CHART), "--namespace", "skin", values=values)
    assert told.returncode == 0, told.stderr
    return [each for each in yaml.load_all(told.stdout, yaml.CSafeLoader) if each]


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Return the pods that manifests make, with the kind and name of what makes them."""
    for manifest in manifests:
        where = f"{manifest['kind']} {manifest['metadata']['name']}"
        match manifest["kind"]:
            case "Pod":
                yield where, manifest["spec"]
            case "Deployment" | "Job":
                yield where, manifest["spec"]["template"]["spec"]
            case "CronJob":
                yield where, manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
