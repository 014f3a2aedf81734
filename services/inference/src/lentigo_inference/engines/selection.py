"""Select the engine that runs a version: the configured one, or the fastest that is allowed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import structlog

from lentigo_contract.errors import EngineError
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName, Golden, golden_images
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import StoredVersion
from lentigo_engines.base import Engine, outputs_of, warm_up
from lentigo_inference.engines.in_turn import EngineInTurn, InTurn, at_once
from lentigo_inference.settings import EngineSetting

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

EngineLoader = Callable[[StoredVersion], Engine]
"""Loads a verified version, or raises EngineError."""

FASTEST_FIRST: Final[tuple[EngineName, ...]] = ("litert-int8", "litert", "savedmodel")


class EngineOpener(Protocol):
    """Opens a version with one engine, or raises EngineError."""

    def __call__(self, engine: EngineName, stored: StoredVersion, threads: int) -> Engine:
        """Load it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The engines to try, the best first, and why the others are left out."""

    engines: tuple[EngineName, ...]
    passed_over: dict[EngineName, str]


def choose(setting: EngineSetting, manifest: Manifest) -> Choice:
    """Choose by what the manifest says; `auto` may take the SavedModel in any case."""
    if setting != "auto":
        return Choice((setting,), {})
    objections = {engine: _objection(engine, manifest) for engine in FASTEST_FIRST}
    return Choice(
        tuple(engine for engine, objection in objections.items() if objection is None),
        {engine: objection for engine, objection in objections.items() if objection is not None},
    )


def engine_loader(
    threads: int,
    setting: EngineSetting = "auto",
    open_engine: EngineOpener | None = None,
    in_turn: InTurn = at_once,
) -> EngineLoader:
    """Return a function that loads versions.

    Args:
        threads: what the runtime computes with.
        setting: which engine to use; with `auto`, one that fails gives way to the next.
        open_engine: opens a version with one engine; by default with the real runtimes.
        in_turn: runs what puts a new engine to the proof.
    """
    opened: EngineOpener = open_engine or _open

    def load(stored: StoredVersion) -> Engine:
        choice = choose(setting, stored.manifest)
        for name, reason in choice.passed_over.items():
            _log.info("engine passed over", version=stored.version, engine=name, reason=reason)
        failures: list[str] = []
        for name in choice.engines:
            try:
                return _proven(opened(name, stored, threads), stored.manifest, in_turn)
            except EngineError as error:
                reason = str(error)
                failures.append(reason)
                _log.warning("engine failed", version=stored.version, engine=name, reason=reason)
        raise EngineError(" ".join(failures))

    return load


def check_golden(engine: Engine, golden: Golden) -> None:
    """Compare an engine's predictions for the golden images with those on record.

    Raises:
        EngineError: they differ by more than the tolerance on record.
    """
    for name, answer in golden.answers.items():
        if name == engine.name:
            expected = np.array(answer.probabilities)
            images = golden_images(golden.seed, len(expected))
            # One at a time, so that a waiting request waits no longer than for one image.
            answers = [engine.predict(image[None]).probabilities for image in images]
            found = np.concatenate(answers)
            if found.shape != expected.shape:
                raise EngineError(
                    f"The engine {name} gives probabilities {list(found.shape)} of the golden "
                    f"pictures; expected is {list(expected.shape)}. Export the version again."
                )
            difference = float(np.abs(found - expected).max())
            if not difference <= answer.tolerance:
                raise EngineError(
                    f"The engine {name} does not give the version's golden answer (off by "
                    f"{difference:.2g}, allowed is {answer.tolerance:.2g}). Check its packages "
                    "against the pinned ones, or choose another with LENTIGO_ENGINE."
                )


def _proven(engine: Engine, manifest: Manifest, in_turn: InTurn) -> Engine:
    waiting = EngineInTurn(engine, in_turn)
    try:
        if engine.name in LITERT_FILES:
            # The model manager warms up what it is given; here it decides whether to fall back.
            warm_up(waiting, manifest)
        if manifest.golden is not None:
            check_golden(waiting, manifest.golden)
    except BaseException:
        engine.close()
        raise
    return engine


def _objection(engine: EngineName, manifest: Manifest) -> str | None:
    if engine == "savedmodel":
        return None
    if LITERT_FILES[engine] not in manifest.files:
        return f"the version has no {LITERT_FILES[engine]}"
    figures = (manifest.agreement or {}).get(engine)
    if figures is None:
        return "the manifest does not say how it agrees with the SavedModel"
    return figures.shortfall()


def _open(engine: EngineName, stored: StoredVersion, threads: int) -> Engine:
    # A runtime takes seconds to import, and need not be installed where it is not used.
    if engine == "savedmodel":
        try:
            from lentigo_engines.savedmodel import SavedModelEngine  # noqa: PLC0415
        except ImportError as error:
            raise EngineError(
                "TensorFlow is not installed here, and this version needs it. "
                "Install lentigo-inference[savedmodel]."
            ) from error
        return SavedModelEngine(stored.path, threads, outputs_of(stored.manifest))
    try:
        from lentigo_engines.litert import LiteRTEngine  # noqa: PLC0415
    except ImportError as error:
        raise EngineError(
            "LiteRT is not installed here. Install lentigo-inference[litert]."
        ) from error
    file = stored.path / LITERT_FILES[engine]
    return LiteRTEngine(engine, file, threads, outputs_of(stored.manifest))
