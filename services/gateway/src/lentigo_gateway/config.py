"""The gateway's configuration, from one TOML file. `docs/hospital.md` explains every member."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as validator

from lentigo_contract.fhir.codes import TERMS_SYSTEM
from lentigo_gateway.errors import ConfigError
from lentigo_gateway.rules import DEFAULT_RULES, Rule

AeTitle = Annotated[str, StringConstraints(pattern=r"^[\x21-\x5b\x5d-\x7e]{1,16}$")]
"""Title of an application entity (DICOM PS3.5, 6.2); ours have no space and no backslash."""

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]
Port = Annotated[int, Field(ge=0, le=65_535)]
SearchQuery = Annotated[str, StringConstraints(pattern=r"^[^\s#?]{0,1000}$")]
"""Parameters of a FHIR search."""

Confirmation = Literal["histopathology", "follow-up", "consensus", "confocal"]
"""How a diagnosis was confirmed, in the words of the inference service."""

_LARGEST_SECRET: Final = 8_192


class Section(BaseModel):
    """A table of the file. A member that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerConfig(Section):
    """An HTTP server that the gateway asks.

    Attributes:
        url: its base address.
        user: user name of HTTP Basic; goes together with `password_file`.
        password_file: file with the password.
        key_file: file with a key, sent as `Authorization: Bearer`.
        ca_file: certificates that its own must come from; by default those of certifi.
        timeout_s: seconds for a request and its response together.
    """

    url: Url
    user: str | None = None
    password_file: Path | None = None
    key_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float = Field(30, gt=0, le=3_600)

    @validator(mode="after")
    def _one_way_to_sign_in(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        if self.user is not None and self.key_file is not None:
            raise ValueError("give either user and password_file, or key_file")
        return self


class ArchiveConfig(ServerConfig):
    """The archive's DICOMweb, where images are fetched from and results go to."""


class FhirConfig(ServerConfig):
    """A FHIR R4 server.

    Attributes:
        patient_system: namespace of the archive's patient numbers, for `subject.identifier`;
            without it no patient is named.
        codes: the map of codes that the hospital signed off; without it, the one that ships.
    """

    patient_system: str | None = None
    codes: Path | None = None


class TlsConfig(Section):
    """TLS of a DICOM connection (DICOM PS3.15, B.12).

    Attributes:
        certificate: our certificate, PEM.
        key: its private key, PEM.
        ca_file: certificates that the other side's must come from.
    """

    certificate: Path
    key: Path
    ca_file: Path


class OrthancConfig(Section):
    """Orthanc's feed of changes.

    Attributes:
        url: of Orthanc's own REST API; user and password are those of `[archive]`.
        interval_s: seconds between two looks while nothing new comes.
        start: where to begin when the work list is new: with what comes from now on, or with
            everything that the archive has.
    """

    url: Url
    interval_s: float = Field(0.25, ge=0.05, le=3_600)
    start: Literal["now", "beginning"] = "now"


class QueryConfig(Section):
    """Queries to `[archive]` by QIDO-RS.

    Attributes:
        interval_s: seconds between two queries.
        days: how many days back studies are looked at, today included.
    """

    interval_s: float = Field(10, ge=0.5, le=86_400)
    days: int = Field(2, ge=1, le=366)


class ListenerConfig(Section):
    """Listening for C-STORE.

    Attributes:
        host: address to listen on.
        port: port; 0 takes a free one and logs it.
        ae_title: our title, by which we must be called.
        callers: titles that may send; at least one.
        associations: open at the same time.
        timeout_s: seconds that a connection may be silent.
        tls: without it, the connection is in the clear.
    """

    host: str = "127.0.0.1"
    port: Port = 11_112
    ae_title: AeTitle = "LENTIGO"
    callers: tuple[AeTitle, ...] = Field(min_length=1)
    associations: int = Field(8, ge=1, le=256)
    timeout_s: float = Field(30, gt=0, le=3_600)
    tls: TlsConfig | None = None


class SourcesConfig(Section):
    """Where instances are noticed; at least one."""

    orthanc: OrthancConfig | None = None
    query: QueryConfig | None = None
    listener: ListenerConfig | None = None


class CommitmentConfig(Section):
    """Storage commitment; without this table, a result is delivered once it is stored.

    Attributes:
        host: address to listen on for the receiver's report, under the title `calling`.
        port: port; the receiver must know it.
        timeout_s: seconds that the report is waited for.
    """

    host: str = "127.0.0.1"
    port: Port = 11_113
    timeout_s: float = Field(60, gt=0, le=3_600)


class DimseConfig(Section):
    """Who takes results by C-STORE.

    Attributes:
        host: address.
        port: port.
        ae_title: its title.
        calling: our title.
        timeout_s: seconds for each step.
        tls: without it, the connection is in the clear.
        commitment: asks it to commit to results; the listener for its report has no TLS.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)]
    ae_title: AeTitle
    calling: AeTitle = "LENTIGO"
    timeout_s: float = Field(30, gt=0, le=3_600)
    tls: TlsConfig | None = None
    commitment: CommitmentConfig | None = None


class ResultsConfig(Section):
    """What is delivered, and how.

    Attributes:
        secondary_capture: also a picture with the map, for viewers that show no report.
        dimse: send by C-STORE to it; without it, by STOW-RS to `[archive]`.
    """

    secondary_capture: bool = True
    dimse: DimseConfig | None = None


class ImagesConfig(Section):
    """What is read of an instance. The defaults are those of the inference service.

    Attributes:
        max_bytes: of an instance, all its frames together.
        max_frame_bytes: of what is sent to the service for one frame.
        max_pixels: rows times columns.
        max_frames: of an instance.
        multi_frame: answer each frame, or refuse instances that have several.
        burned_in: what to do with an instance that says that it has text in its pixels.
    """

    max_bytes: int = Field(128 * 2**20, ge=1_024, le=2**31 - 1)
    max_frame_bytes: int = Field(20 * 2**20, ge=1_024, le=2**31 - 1)
    max_pixels: int = Field(64_000_000, ge=1_024, le=2**28)
    max_frames: int = Field(16, ge=1, le=1_000)
    multi_frame: Literal["each", "refuse"] = "each"
    burned_in: Literal["warn", "refuse"] = "warn"


class WorkListConfig(Section):
    """The work list.

    Attributes:
        folder: where it lies, with images received by C-STORE until they are answered.
        workers: instances worked on at the same time.
        attempts: failures after which an instance is parked.
        first_delay_s: seconds before the second attempt; each further delay is twice as long.
        longest_delay_s: the longest of them.
        keep_days: how long finished entries are kept.
    """

    folder: Path
    workers: int = Field(3, ge=1, le=32)
    attempts: int = Field(10, ge=1, le=100)
    first_delay_s: float = Field(1, gt=0, le=3_600)
    longest_delay_s: float = Field(600, gt=0, le=86_400)
    keep_days: int = Field(184, ge=1, le=36_500)


class ConfirmationsConfig(Section):
    """Confirmed diagnoses that come back; without this table none do.

    The key of `[service]` then needs the scope `feedback` too.

    Attributes:
        archive: whether structured reports that a person has verified are read.
        interval_s: seconds between two looks at the FHIR server.
        observations: query for final Observations; empty for all of them.
        reports: query for final DiagnosticReports; empty for all of them.
        confirmed_by: how a diagnosis was confirmed where the document does not say; without it,
            such a document is refused.
    """

    archive: bool = True
    interval_s: float = Field(30, ge=0.05, le=86_400)
    observations: SearchQuery = f"code={TERMS_SYSTEM}|confirmed-diagnosis"
    reports: SearchQuery = f"code={TERMS_SYSTEM}|report"
    confirmed_by: Confirmation | None = None


class PageConfig(Section):
    """The operators' page; without this table there is none.

    Attributes:
        host: address to listen on: loopback, as the page asks for no key. `0.0.0.0` is for a
            container whose port is published on loopback alone.
        port: port; 0 takes a free one and logs it.
    """

    host: Literal["127.0.0.1", "::1", "0.0.0.0"] = "127.0.0.1"  # noqa: S104 - see above
    port: Port = 8_010


class LogConfig(Section):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class GatewayConfig(Section):
    """The whole file.

    Attributes:
        service: the inference service; `key_file` has a key of the scope `predict`.
        rules: the first that matches an instance decides; what none matches is not taken.
    """

    service: ServerConfig
    archive: ArchiveConfig
    sources: SourcesConfig
    worklist: WorkListConfig
    images: ImagesConfig = ImagesConfig()
    results: ResultsConfig = ResultsConfig()
    fhir: FhirConfig | None = None
    confirmations: ConfirmationsConfig | None = None
    page: PageConfig | None = None
    log: LogConfig = LogConfig()
    rules: tuple[Rule, ...] = Field(DEFAULT_RULES, min_length=1)

    @validator(mode="after")
    def _some_source(self) -> Self:
        if self.sources == SourcesConfig():
            raise ValueError("sources: name at least one of orthanc, query and listener")
        return self


def load_config(path: Path) -> GatewayConfig:
    """Read the configuration.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has a member or value that it must not have.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return GatewayConfig.model_validate(values)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(f"{path}: {details}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error


def read_secret(path: Path) -> str:
    """Return a password or key from its file, without the white space around it.

    Raises:
        ConfigError: the file is missing, empty, too large or not text.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_SECRET + 1).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"The secret in {path} cannot be read: {reason}.") from error
    if not text or len(text) > _LARGEST_SECRET or not text.isprintable():
        raise ConfigError(f"{path} must hold one password or key, on one line.")
    return text
