"""The settings, from environment variables that begin with `LENTIGO_`.

Built once, at start, and passed in. `docs/reference/settings.md` lists them all.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lentigo_contract.decision import DecidedBy
from lentigo_contract.imaging.read import ImageLimits
from lentigo_contract.system.resources import available_cores
from lentigo_contract.wording import pluralize
from lentigo_inference.errors import SettingsError

PREFIX: Final = "LENTIGO_"

EngineSetting = Literal["auto", "savedmodel", "litert", "litert-int8"]
"""Values of `LENTIGO_ENGINE`."""


_MEMORY_A_DECODE_THREAD: Final = 16 * 2**20
_MEMORY_FOR_LARGE_IMAGES: Final = 288 * 2**20
_FORM_AROUND_IMAGES: Final = 2**20


def _default_decode_memory(fields: dict[str, Any]) -> int:
    """Return the default for as many threads as the settings have."""
    return _MEMORY_FOR_LARGE_IMAGES + _MEMORY_A_DECODE_THREAD * int(fields.get("decode_threads", 1))


class Settings(BaseSettings):
    """How the service runs; durations end in `_s` and are seconds, sizes in `_bytes`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        8000, ge=0, le=65_535, description="Port to listen on; 0 chooses a free one and logs it."
    )
    model_repository: Path = Field(
        Path("models"),
        description="Folder of the model repository; versions are in its folder lentigo/.",
    )
    engine: EngineSetting = Field(
        "auto",
        description="Engine: savedmodel, litert or litert-int8; auto chooses the fastest that "
        "agrees with the SavedModel of the version.",
    )
    decision: DecidedBy = Field(
        "balanced",
        description="How the diagnosis is decided: balanced, as if the seven were equally "
        "frequent, or probable, for the most probable one. A version that declares no prevalence "
        "always decides for the most probable one.",
    )
    prevalence: Path | None = Field(
        None,
        description="TOML file with the share of each of the seven diagnoses in this clinic. The "
        "probabilities and the referral threshold move to it; which lesions are referred does not "
        "change. Versions that declare no prevalence are then refused.",
    )
    offline: bool = Field(
        True,
        description="Let the page keep the network on a device and answer there without the "
        "service, if somebody turns that on. With an audit trail it is never offered.",
    )
    fhir_codes: Path | None = Field(
        None,
        description="TOML file with the codes of other systems, such as SNOMED CT, that stand "
        "beside Lentigo's own in FHIR; by default those that come with it.",
    )
    key_file: Path | None = Field(
        None,
        description="File of API keys, made with `lentigo-inference keys add`; without one, and "
        "without an issuer, the service listens on loopback only.",
    )
    oidc_issuer: str | None = Field(
        None,
        max_length=500,
        description="Address of the OpenID Connect issuer whose tokens are accepted beside API "
        "keys, exactly as it writes it, such as https://login.example/realms/ward.",
    )
    oidc_audience: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Audience that a token must name (aud); goes together with the issuer.",
    )
    oidc_scope_claim: str = Field(
        "scope",
        min_length=1,
        max_length=200,
        description="Claim with the values that become scopes; a.b is a member of a claim.",
    )
    oidc_scopes: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Which value of that claim gives which scope, separated by commas, such as "
        "clinician=predict,clinician=feedback. Without it, lentigo:predict gives predict, and so "
        "on.",
    )
    oidc_name_claim: str = Field(
        "sub",
        min_length=1,
        max_length=200,
        description="Claim that names the bearer in the log, the audit trail and the limits.",
    )
    oidc_clock_skew_s: float = Field(
        30.0,
        ge=0,
        le=300,
        description="Seconds by which the clocks of issuer and service may differ.",
    )
    oidc_keys_max_age_s: float = Field(
        86_400.0,
        ge=60,
        le=604_800,
        description="Seconds that the keys of an issuer that is away are still trusted.",
    )
    published_address: IPv4Address | IPv6Address | None = Field(
        None,
        description="Address that a container's port is published on. It decides, instead of the "
        "address listened on, whether keys or tokens are required.",
    )
    allow_anonymous: bool = Field(
        False, description="Listen beyond loopback without keys or tokens."
    )
    rate_limit_per_minute: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Requests a minute for each key that has no limit of its own; 0 is no limit.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins whose pages may call the service from a browser, separated by commas, "
        "such as https://ward.example.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names by which the service may be asked, as in Host, separated by commas. "
        "Without it, names with a dot are refused while there are neither keys nor "
        "LENTIGO_ALLOW_ANONYMOUS.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For counts, separated by "
        "commas, such as 127.0.0.1 or 10.0.0.0/8.",
    )
    audit_dir: Path | None = Field(
        None,
        description="Folder of the audit trail: who was told what, by which version. It must "
        "exist. Without it there is no trail, and no feedback is taken.",
    )
    audit: Literal["required", "best-effort"] = Field(
        "required",
        description="required: an answer is on the disk of the audit trail before it leaves, or it "
        "is refused; best-effort: it leaves at once, and what cannot be recorded is counted.",
    )
    audit_key: Path | None = Field(
        None,
        description="File of the key that signs the audit trail, made with `lentigo-inference "
        "audit make-key`.",
    )
    audit_retention_days: int = Field(
        184,
        ge=1,
        le=36_525,
        description="Days that the audit trail is kept; 184 are at least six months.",
    )
    engine_threads: int = Field(
        default_factory=available_cores,
        ge=1,
        le=1024,
        description="Threads of the engine; by default one for each core, within a container's "
        "limit.",
    )
    decode_threads: int = Field(
        default_factory=available_cores,
        ge=1,
        le=1024,
        description="Images decoded at the same time; by default one for each core, within a "
        "container's limit.",
    )
    model_version: int | None = Field(
        None, ge=1, description="Version to serve; by default always the newest."
    )
    shadow_version: int | None = Field(
        None,
        ge=1,
        description="Version that answers the same images in the background, to be compared; it is "
        "used for answers only when a request to load names it.",
    )
    model_key: Path | None = Field(
        None,
        description="PEM file of the public keys that versions are signed with; a version that is "
        "not signed by one of them, or has changed since, is refused.",
    )
    reload_interval_s: float = Field(
        5.0, ge=0.1, le=86_400, description="Seconds between two checks of the model repository."
    )
    max_upload_bytes: int = Field(
        ImageLimits().max_bytes, ge=1024, le=2**31, description="Largest image accepted, in bytes."
    )
    max_pixels: int = Field(
        ImageLimits().max_pixels,
        ge=1_000_000,
        le=178_000_000,
        description="Most pixels of an image, width times height.",
    )
    decode_memory: int = Field(
        default_factory=_default_decode_memory,
        ge=64 * 2**20,
        le=2**40,
        description="Bytes that all images may take together while they are decoded, at least "
        "16 MiB for each decode thread; a large image waits for its share, and one that needs more "
        "is refused. By default 288 MiB, and 16 MiB for each decode thread.",
    )
    upload_timeout_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds in which the headers of a request must be complete, and then its "
        "body.",
    )
    download_timeout_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds in which a client must take the next 64 KiB of what is sent to it.",
    )
    keep_alive_s: float = Field(
        75.0,
        gt=0,
        le=3600,
        description="Seconds that a connection stays open between two requests; more than a proxy "
        "in front keeps it (nginx: 60).",
    )
    max_connections: int = Field(
        1024,
        ge=1,
        le=1_048_576,
        description="Open connections; fewer if the limit of open files is lower. Beyond it, the "
        "one that has been idle longest is closed.",
    )
    max_pending: int = Field(
        64,
        ge=1,
        le=65_536,
        description="Predictions under way at the same time, uploads included; more are refused. "
        "One with a description counts as two.",
    )
    max_batch_bytes: int = Field(
        64 * 2**20,
        ge=1024,
        le=2**31,
        description="Largest body of a batch request, in bytes; counts as several predictions.",
    )
    upload_memory: int = Field(
        256 * 2**20,
        ge=8 * 2**20,
        le=2**40,
        description="Bytes that the bodies of all predictions under way may take together, at "
        "least as many as the largest may have; one that would be too much is refused.",
    )
    request_timeout_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds from the end of an upload within which the response is due.",
    )
    queue_size: int = Field(
        128, ge=1, le=65_536, description="Decoded images that may wait for the model."
    )
    batch_max_size: int = Field(
        8, ge=1, le=256, description="Most images that the model computes together."
    )
    batch_max_delay_ms: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Milliseconds that an idle model waits for a batch to fill; batches form while "
        "it is busy, so 0 is best unless clients send in bursts.",
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="Seconds from SIGTERM in which the service says that it is not ready and still "
        "answers, so that a load balancer notices; Ctrl+C leaves this out.",
    )
    shutdown_grace_s: int = Field(
        30, ge=0, le=3600, description="Seconds that accepted work has to finish when stopping."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Format of the log; auto is console on a terminal and JSON elsewhere."
    )

    @field_validator(
        "cors_origins", "allowed_hosts", "trusted_proxies", "oidc_scopes", mode="before"
    )
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(each.strip() for each in value.split(",") if each.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _validate_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", host):
                raise ValueError("a host is like lentigo.example, without a port or *")
        return tuple(host.lower() for host in value)

    @field_validator("cors_origins")
    @classmethod
    def _validate_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise ValueError("an origin is like https://ward.example, without a path or *")
        return value

    @property
    def asks_who(self) -> bool:
        """Whether requests need a key or a token."""
        return self.key_file is not None or self.oidc_issuer is not None

    def image_limits(self) -> ImageLimits:
        """Return the limits for an image, with this service's limits of bytes and pixels."""
        return ImageLimits(max_bytes=self.max_upload_bytes, max_pixels=self.max_pixels)

    @model_validator(mode="after")
    def _signs_its_audit_trail(self) -> Self:
        if (self.audit_dir is None) != (self.audit_key is None):
            raise ValueError(
                "LENTIGO_AUDIT_DIR and LENTIGO_AUDIT_KEY go together; make a key with "
                "`lentigo-inference audit make-key FILE`"
            )
        return self

    @model_validator(mode="after")
    def _knows_for_whom_tokens_are(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError(
                "LENTIGO_OIDC_ISSUER and LENTIGO_OIDC_AUDIENCE go together; without an audience, "
                "tokens for any other service would be accepted"
            )
        return self

    @model_validator(mode="after")
    def _has_another_version_in_the_shadow(self) -> Self:
        if self.shadow_version is not None and self.shadow_version == self.model_version:
            raise ValueError(
                f"LENTIGO_MODEL_VERSION and LENTIGO_SHADOW_VERSION both name version "
                f"{self.model_version}; a version is not compared with itself"
            )
        return self

    @model_validator(mode="after")
    def _has_memory_for_the_largest_upload(self) -> Self:
        largest = max(self.max_upload_bytes, self.max_batch_bytes) + _FORM_AROUND_IMAGES
        if self.upload_memory < largest:
            raise ValueError(
                f"LENTIGO_UPLOAD_MEMORY has to be {largest:,} bytes or more, so that the largest "
                "body fits; allow more, or lower LENTIGO_MAX_UPLOAD_BYTES and "
                "LENTIGO_MAX_BATCH_BYTES"
            )
        return self

    @model_validator(mode="after")
    def _has_memory_for_its_threads(self) -> Self:
        needed = self.decode_threads * _MEMORY_A_DECODE_THREAD
        if self.decode_memory < needed:
            threads = pluralize(self.decode_threads, "decode thread needs", "decode threads need")
            raise ValueError(
                f"{threads} a LENTIGO_DECODE_MEMORY of {needed:,} bytes or more; allow more, or "
                "set LENTIGO_DECODE_THREADS to fewer"
            )
        return self


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: one has a value that it cannot have; the message has all of them.
    """
    try:
        return Settings()
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A default that follows from another setting is no fault of its own.
        told = (_told(item) for item in found if item["type"] != "default_factory_not_called")
        raise SettingsError("; ".join(told)) from error


def _told(item: Mapping[str, Any]) -> str:
    """Say what is wrong with a setting; what is wrong between several names them itself."""
    ours = item.get("ctx", {}).get("error")
    text = item["msg"] if ours is None else str(ours)
    if not item["loc"]:
        return text
    return f"{environment_name('_'.join(str(part) for part in item['loc']))}: {text}"


def environment_name(field: str) -> str:
    """Return the environment variable that sets a field of `Settings`."""
    return (PREFIX + field).upper()


def unknown_variables(environment: dict[str, str]) -> list[str]:
    """Return the `LENTIGO_` variables that no setting reads, which are usually misspelt."""
    known = {environment_name(field) for field in Settings.model_fields}
    return sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in known
    )
