"""Combinations of values that would be unsafe or could not work are one clear line."""

import pytest

from tests.deploy.chart import CHART, Values, merge, run_helm

GOOD: Values = {
    "access": {"keysSecret": "keys"},
    "model": {"claim": {"existing": "models"}},
}
ANYWHERE = [{"ports": [{"port": 443}]}]
TRAINS: Values = {
    "training": {"job": {"enabled": True}, "dataClaim": "data", "weightsClaim": "weights"}
}
OPEN: Values = {"networkPolicy": {"enabled": False}}
INGRESS: Values = {"ingress": {"enabled": True, "host": "lentigo.example", "tlsSecret": "tls"}}

# Name: what is changed in values that are good, and what the line must say.
REFUSED: dict[str, tuple[Values, str]] = {
    "no keys": ({"access": {"keysSecret": ""}}, "nobody would be asked for a key"),
    "no keys and an ingress": (
        {"access": {"keysSecret": "", "allowAnonymous": True}, **INGRESS, **OPEN},
        "ingress.enabled opens the service beyond the cluster",
    ),
    "keys and nobody needs one": ({"access": {"allowAnonymous": True}}, "choose one"),
    "an ingress without TLS": ({"ingress": {"enabled": True}}, "an Ingress needs TLS"),
    "an ingress that the policy shuts out": (INGRESS, "networkPolicy.ingressFrom"),
    "no model": ({"model": {"claim": {"existing": ""}}}, "there would be no model"),
    "two claims": ({"model": {"claim": {"create": True}}}, "contradict"),
    "two addresses": (
        {"model": {"fetch": {"url": "https://a.example/1.tar", "urlSecret": "address"}}},
        "contradict",
    ),
    "fetched unsigned": (
        {"model": {"fetch": {"url": "https://a.example/1.tar"}}, **OPEN},
        "must be signed",
    ),
    "fetched into what cannot be written": (
        {
            "model": {
                "fetch": {"urlSecret": "address"},
                "keyConfigMap": "key",
                "claim": {"accessMode": "ReadOnlyMany"},
            },
            **OPEN,
        },
        "use ReadWriteMany",
    ),
    "fetched through a closed policy": (
        {"model": {"fetch": {"urlSecret": "address"}, "keyConfigMap": "key"}},
        "model.fetch",
    ),
    "tokens through a closed policy": (
        {"settings": {"LENTIGO_OIDC_ISSUER": "https://login.example"}},
        "LENTIGO_OIDC_ISSUER",
    ),
    "traces through a closed policy": (
        {"settings": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}},
        "the collector of traces",
    ),
    "audit without a volume": (
        {"audit": {"enabled": True, "keySecret": "audit"}},
        "must outlive its pod",
    ),
    "audit without a key": (
        {"audit": {"enabled": True, "claim": {"existing": "trail"}}},
        "an audit trail is signed",
    ),
    "several replicas on a volume of one node": (
        {"model": {"claim": {"accessMode": "ReadWriteOnce"}}},
        "several replicas cannot share a volume",
    ),
    "several replicas on an audit volume of one node": (
        {
            "audit": {
                "enabled": True,
                "keySecret": "audit",
                "claim": {"create": True, "accessMode": "ReadWriteOnce"},
            }
        },
        "several replicas cannot share a volume",
    ),
    "autoscaling on a volume of one node": (
        {
            "replicaCount": 1,
            "autoscaling": {"enabled": True},
            "model": {"claim": {"accessMode": "ReadWriteOncePod"}},
        },
        "several replicas cannot share a volume",
    ),
    "autoscaling upside down": (
        {"autoscaling": {"enabled": True, "minReplicas": 9}},
        "above autoscaling.maxReplicas",
    ),
    "scraping without a key": (
        {"monitoring": {"serviceMonitor": {"enabled": True}}},
        "scope metrics",
    ),
    "a gateway without an archive": ({"gateway": {"enabled": True}}, "must know its archive"),
    "a gateway without a key": (
        {"gateway": {"enabled": True, "config": "[archive]"}},
        "scope predict",
    ),
    "a gateway that the policy shuts in": (
        {"gateway": {"enabled": True, "config": "[archive]", "keySecret": "gateway"}},
        "gatewayEgress",
    ),
    "a DICOM port that nobody reaches": (
        {
            "gateway": {
                "enabled": True,
                "config": "[archive]",
                "keySecret": "gateway",
                "dicom": {"enabled": True},
            },
            "networkPolicy": {"gatewayEgress": ANYWHERE},
        },
        "gatewayIngressFrom",
    ),
    "training without a claim": (
        {
            "model": {
                "claim": {"existing": ""},
                "fetch": {"urlSecret": "address"},
                "keyConfigMap": "key",
            },
            **TRAINS,
            **OPEN,
        },
        "publishes into model.claim",
    ),
    "training into what is not shared": (
        {"replicaCount": 1, "model": {"claim": {"accessMode": "ReadWriteOnce"}}, **TRAINS},
        "must be ReadWriteMany",
    ),
    "training without images": (
        merge(TRAINS, {"training": {"dataClaim": ""}}),
        "set training.dataClaim",
    ),
    "training without a signature": (
        {"model": {"keyConfigMap": "key"}, **TRAINS},
        "training.signingKeySecret",
    ),
    "training without weights": (
        merge(TRAINS, {"training": {"weightsClaim": "", "arguments": ["--recipe", "a.toml"]}}),
        "Keras could not download",
    ),
}

# Name: values that the schema refuses, and where.
MISSPELT: dict[str, tuple[Values, str]] = {
    "a value that does not exist": ({"replicas": 3}, "replicas"),
    "a value that does not exist, deeper": ({"ingress": {"hosts": ["a"]}}, "/ingress"),
    "a setting that does not exist": ({"settings": {"LENTIGO_WORKERS": 4}}, "LENTIGO_WORKERS"),
    "a setting that is the chart's": ({"settings": {"LENTIGO_PORT": 80}}, "LENTIGO_PORT"),
    "a tag that moves": ({"image": {"tag": "latest"}}, "/image/tag"),
    "no limits": ({"resources": {"limits": {"memory": None}}}, "/resources/limits"),
    "no replica": ({"replicaCount": 0}, "/replicaCount"),
    "prevalence of six": ({"prevalence": {"mel": 1}}, "/prevalence"),
    "another scheme": ({"model": {"fetch": {"url": "file:///etc/passwd"}}}, "/model/fetch/url"),
    "a name with capitals": ({"access": {"keysSecret": "Keys"}}, "/access/keysSecret"),
}


def refusal(helm: str, values: Values) -> str:
    told = run_helm(helm, "template", "ward", str(CHART), values=merge(GOOD, values))
    assert told.returncode == 1, "it was rendered"
    return told.stderr


def test_what_the_refusals_change_is_good(helm: str) -> None:
    for values in ({}, {**TRAINS}, OPEN):
        told = run_helm(helm, "template", "ward", str(CHART), values=merge(GOOD, values))
        assert told.returncode == 0, told.stderr


def test_nothing_is_installed_by_default(helm: str) -> None:
    told = run_helm(helm, "template", "ward", str(CHART), values={})
    assert told.returncode == 1
    assert "nobody would be asked for a key" in told.stderr


@pytest.mark.parametrize("name", REFUSED)
def test_a_combination_is_refused_with_one_line(helm: str, name: str) -> None:
    values, says = REFUSED[name]
    lines = [line for line in refusal(helm, values).splitlines() if "execution error" in line]
    assert len(lines) == 1
    assert says in lines[0]


@pytest.mark.parametrize("name", MISSPELT)
def test_a_value_is_refused_by_the_schema(helm: str, name: str) -> None:
    values, where = MISSPELT[name]
    told = refusal(helm, values)
    assert "don't meet the specifications of the schema" in told
    assert where in told
