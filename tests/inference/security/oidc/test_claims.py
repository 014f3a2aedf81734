from typing import Any

import pytest

from lentigo_inference.errors import IssuerError
from lentigo_inference.security.api_keys import KeyRing, Scope, make_key
from lentigo_inference.security.oidc.claims import ClaimMapping

PREDICT = frozenset({Scope.PREDICT})


def mapping(*pairs: str, scope_claim: str = "scope", name_claim: str = "sub") -> ClaimMapping:
    return ClaimMapping.parse(scope_claim, pairs, name_claim)


def test_without_a_mapping_each_scope_has_a_value_of_its_name() -> None:
    values = " ".join(f"lentigo:{scope}" for scope in Scope)
    assert mapping().scopes_of({"scope": values}) == set(Scope)
    assert mapping().scopes_of({"scope": "predict openid LENTIGO:PREDICT"}) == frozenset()


def test_a_value_may_give_several_scopes_and_several_values_one() -> None:
    maps = mapping("doctor=predict", "doctor=feedback", "nurse=predict")
    assert maps.scopes_of({"scope": "doctor"}) == {Scope.PREDICT, Scope.FEEDBACK}
    assert maps.scopes_of({"scope": "nurse doctor"}) == {Scope.PREDICT, Scope.FEEDBACK}
    assert maps.scopes_of({"scope": "lentigo:predict"}) == frozenset()


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("roles", {"roles": ["user", "other"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["user"]}}),
        ("resource_access.lentigo.roles", {"resource_access": {"lentigo": {"roles": ["user"]}}}),
        ("https://login.example/roles", {"https://login.example/roles": ["user"]}),
        ("scp", {"scp": "openid user"}),
    ],
)
def test_the_claim_is_where_common_issuers_have_it(claim: str, claims: dict[str, Any]) -> None:
    assert mapping("user=predict", scope_claim=claim).scopes_of(claims) == PREDICT


@pytest.mark.parametrize(
    "value",
    [None, 7, True, {"user": True}, [["user"]], [7, None], [], "", "users", ["user other"]],
    ids=repr,
)
def test_anything_else_gives_no_scope(value: object) -> None:
    assert mapping("user=predict").scopes_of({"scope": value}) == frozenset()
    nested = mapping("user=predict", scope_claim="a.b.c")
    assert nested.scopes_of({"a": {"b": value}}) == frozenset()
    assert nested.scopes_of({"a": value}) == frozenset()


@pytest.mark.parametrize(
    "pair",
    ["user", "user=", "=predict", "user=all", "user=PREDICT", "user=predict=admin", "a b=predict"],
)
def test_a_mapping_that_says_nothing_is_refused_and_says_why(pair: str) -> None:
    with pytest.raises(
        IssuerError, match=r"LENTIGO_OIDC_SCOPES.*predict, feedback, admin, metrics"
    ):
        mapping(pair)


@pytest.mark.parametrize("subject", ["6f1c-22", "jane.doe", "auth0|507f", "a@b.example", "x" * 64])
def test_a_plain_subject_is_the_name(subject: str) -> None:
    assert mapping().name_of({"sub": subject}) == f"oidc:{subject}"


@pytest.mark.parametrize(
    "subject",
    ["x" * 65, "x" * 10_000, "a b", "a\nb", 'a"b', "a\x00b", "Jürgen", "-", "oidc:a", "\ud800"],
    ids=lambda subject: f"{len(subject)} {subject[:12]!a}",
)
def test_any_other_subject_becomes_a_digest(subject: str) -> None:
    name = mapping().name_of({"sub": subject})
    assert name is not None
    assert len(name) == len("oidc:sha256:") + 32
    assert set(name.removeprefix("oidc:sha256:")) <= set("0123456789abcdef")
    assert name == mapping().name_of({"sub": subject})
    assert name != mapping().name_of({"sub": subject + "x"})


@pytest.mark.parametrize("value", [None, "", 7, ["a"], {"a": "b"}])
def test_a_token_that_names_nobody_has_no_name(value: object) -> None:
    assert mapping().name_of({"sub": value}) is None
    assert mapping().name_of({}) is None


def test_another_claim_can_be_the_name() -> None:
    maps = mapping(name_claim="azp")
    assert maps.name_of({"sub": "6f1c", "azp": "pacs-bridge"}) == "oidc:pacs-bridge"


def test_no_key_can_have_the_name_of_a_token() -> None:
    with pytest.raises(ValueError, match="name"):
        make_key("oidc:6f1c", PREDICT)
    assert KeyRing().keys == ()
