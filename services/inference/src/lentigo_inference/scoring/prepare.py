"""Which model scores, with which engine and limits: the service's, by the same settings."""

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, cast

from lentigo_contract.errors import NoVersionError
from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.engines.selection import ENGINES, EngineLoader, engine_loader
from lentigo_inference.scoring.rows import AnsweredBy
from lentigo_inference.scoring.scorer import ENGINE_THREADS, ScoringLimits, ScoringModel
from lentigo_inference.security.model_signature import check_signature
from lentigo_inference.serving.decoding import DecodeLimits
from lentigo_inference.serving.loading import LoadOptions, load_options, load_version
from lentigo_inference.settings import Settings

# What computes an answer: another release of one of these may round another bit.
_PACKAGES: Final = (
    "lentigo-inference",
    "lentigo-contract",
    "numpy",
    "pillow",
    "ai-edge-litert",
    "tensorflow-cpu",
    "tensorflow",
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that may score, and how.

    Attributes:
        root: of the model repository.
        model: which model, engine and decision.
        limits: of an image.
        answered_by: what stands in every row.
        document: all of that, as the folder with the results has it on record.
    """

    root: Path
    model: ScoringModel
    limits: ScoringLimits
    answered_by: AnsweredBy
    document: dict[str, Any]


def prepare(
    settings: Settings,
    timeout_s: float,
    engine: str | None = None,
    load: EngineLoader | None = None,
) -> Prepared:
    """Choose and check the model that scores.

    Args:
        settings: the service's.
        timeout_s: for fetching an image, in seconds.
        engine: that the run began with, so that `auto` does not choose another one.
        load: loads an engine; by default with the real runtimes.

    Raises:
        RepositoryError: there is no version, or the one there is cannot be used.
        EngineError: no engine can run it.
        PrevalenceFileError, ModelKeyError: a file that the settings name cannot be used.
    """
    store = ModelStore(settings.model_repository)
    number = settings.model_version or _newest(store, settings.shadow_version)
    options = load_options(settings)
    chosen = _engine(settings, engine) or _chosen(store, number, options, load)
    stored = store.open(number)
    check_signature(stored, options.keys)
    rule = options.policy.rule_for(stored.manifest)
    decoding = DecodeLimits(settings.decode_threads, settings.decode_memory)
    limits = ScoringLimits(
        image=decoding.of_image(settings.image_limits()),
        small=decoding.small,
        batch=settings.batch_max_size,
        timeout_s=timeout_s,
    )
    check = stored.manifest.unlikeness
    answered_by = AnsweredBy(
        model_version=number,
        model_sha256=stored.manifest_sha256,
        engine=chosen,
        malignancy_threshold=rule.threshold,
        unlikeness_limit=None if check is None else check.limit,
    )
    return Prepared(
        root=settings.model_repository,
        model=ScoringModel(number, stored.manifest_sha256, chosen, options.policy),
        limits=limits,
        answered_by=answered_by,
        document={
            "decision": rule.settings,
            "max_bytes": limits.image.max_bytes,
            "max_pixels": limits.image.max_pixels,
            "max_memory": limits.image.max_memory,
            "software": software(),
        },
    )


def software() -> dict[str, str]:
    """Return the versions of what computes an answer, as far as they are installed."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def version_files(prepared: Prepared) -> dict[str, bytes]:
    """Read all files of the version, by their names, to send it to where there is no repository."""
    stored = ModelStore(prepared.root).open(prepared.model.version)
    names = (MANIFEST_NAME, *stored.manifest.files)
    return {name: (stored.path / name).read_bytes() for name in names}


def _newest(store: ModelStore, shadow: int | None) -> int:
    versions = [each for each in store.versions() if each != shadow]
    if not versions:
        raise NoVersionError(
            f"{store.folder} has no model version. Set LENTIGO_MODEL_REPOSITORY to a model "
            "repository, or publish a version."
        )
    return versions[-1]


def _engine(settings: Settings, begun_with: str | None) -> EngineName | None:
    if settings.engine != "auto":
        return settings.engine
    return next((engine for engine in ENGINES if engine == begun_with), None)


def _chosen(
    store: ModelStore, number: int, options: LoadOptions, load: EngineLoader | None
) -> EngineName:
    """Load the version as a worker will, to see which engine is the fastest."""
    loaded = load_version(store, number, load or engine_loader(ENGINE_THREADS, "auto"), options)
    loaded.engine.close()
    return cast("EngineName", loaded.engine.name)
