"""Pages of other origins, and the security headers of every answer."""

import pytest
import structlog

from lentigo_inference.settings import Settings
from tests.inference.live_app import PREDICTIONS, problem_of, running

anyio = pytest.mark.anyio


@anyio
@pytest.mark.parametrize("path", ["/v2/health/live", "/nothing", "/openapi.json"])
async def test_every_answer_has_the_security_headers(settings: Settings, path: str) -> None:
    async with running(settings) as service:
        headers = (await service.client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src" in headers["content-security-policy"]


@anyio
async def test_other_origins_are_allowed_only_if_listed(settings: Settings) -> None:
    origin = {"Origin": "https://ward.example"}
    async with running(settings) as service:
        closed = await service.client.get("/v2/health/live", headers=origin)
    listed = settings.model_copy(update={"cors_origins": ("https://ward.example",)})
    async with running(listed) as service:
        let_in = await service.client.get("/v2/health/live", headers=origin)
        other = await service.client.get("/v2/health/live", headers={"Origin": "https://x.example"})
    allowed = "access-control-allow-origin"
    assert allowed not in closed.headers
    assert let_in.headers[allowed] == "https://ward.example"
    assert allowed not in other.headers


@anyio
@pytest.mark.parametrize(
    ("origin", "method"), [("https://x.example", "POST"), ("https://ward.example", "DELETE")]
)
async def test_a_preflight_request_that_is_refused_is_a_problem_with_a_line(
    settings: Settings, origin: str, method: str
) -> None:
    listed = settings.model_copy(update={"cors_origins": ("https://ward.example",)})
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    with structlog.testing.capture_logs() as logs:
        async with running(listed) as service:
            refused = await service.client.options(PREDICTIONS, headers=asked)
            allowed = await service.client.options(
                PREDICTIONS,
                headers={"Origin": "https://ward.example", "Access-Control-Request-Method": "POST"},
            )
    assert allowed.status_code == 200
    assert problem_of(refused)["type"] == "urn:lentigo:problem:origin-refused"
    assert refused.status_code == 403
    assert "access-control-allow-methods" not in refused.headers
    line, _ = (entry for entry in logs if entry["event"] == "request")
    assert (line["status"], line["problem"]) == (403, "origin-refused")


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTIGO_CORS_ORIGINS", "https://a.example, http://b.example:8080")
    assert Settings().cors_origins == ("https://a.example", "http://b.example:8080")
    for wrong in ("*", "https://a.example/path", "a.example"):
        monkeypatch.setenv("LENTIGO_CORS_ORIGINS", wrong)
        with pytest.raises(ValueError, match="an origin is like"):
            Settings()
