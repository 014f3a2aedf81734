"""Select the engine that runs a version: the configured one, or the fastest that is allowed.

Whether int8 is faster than float32 depends on the processor: without instructions for it, it gains
nothing. So `auto` measures the LiteRT engines of a version, on this machine and with the threads
they will have. A reload of the same version takes what was measured before: it must not change
answers, and a machine that is answering others is a bad place to measure. TensorFlow, which is
slower and takes seconds to load, is for when neither can be used.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, cast

import structlog

from lentigo_contract.errors import EngineError, RepositoryError
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName, golden_images
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import StoredVersion
from lentigo_contract.repository.unchanged import read_unchanged, unchanged_saved_model
from lentigo_engines.base import Engine, Images, Prediction, outputs_of, warm_up
from lentigo_engines.golden_answers import check_golden
from lentigo_inference.engines.in_turn import EngineInTurn, InTurn, at_once
from lentigo_inference.engines.measured import MeasuredEngine
from lentigo_inference.settings import EngineSetting

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

EngineLoader = Callable[[StoredVersion], Engine]
"""Loads a verified version, or raises EngineError."""

ENGINES: Final[tuple[EngineName, ...]] = ("litert-int8", "litert", "savedmodel")

# int8 drifts a little from what was measured of the network, so a few per cent are not worth it.
_WORTHWHILE: Final = 1.1

_ROUNDS: Final = 5
_SPEED_SEED: Final = 0
_LEAST_SECONDS: Final = 1e-9


class EngineOpener(Protocol):
    """Opens a version with one engine, or raises EngineError."""

    def __call__(self, engine: EngineName, stored: StoredVersion, threads: int) -> Engine:
        """Load it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The engines to try, the least exact first, and why the others are left out."""

    engines: tuple[EngineName, ...]
    passed_over: dict[EngineName, str]


@dataclass(frozen=True, slots=True)
class _Measurement:
    """What was measured of a version, by the digest of its manifest, and chosen by it."""

    manifest_sha256: str
    engine: EngineName
    images_per_second: Mapping[str, float]


def choose(setting: EngineSetting, manifest: Manifest) -> Choice:
    """Choose by what the manifest says; `auto` may take the SavedModel in any case."""
    if setting != "auto":
        return Choice((setting,), {})
    objections = {engine: _objection(engine, manifest) for engine in ENGINES}
    return Choice(
        tuple(engine for engine, objection in objections.items() if objection is None),
        {engine: objection for engine, objection in objections.items() if objection is not None},
    )


def engine_loader(
    threads: int,
    setting: EngineSetting = "auto",
    open_engine: EngineOpener | None = None,
    in_turn: InTurn = at_once,
    clock: Callable[[], float] = time.perf_counter,
) -> EngineLoader:
    """Return a function that loads versions, one at a time.

    Args:
        threads: what the runtime computes with.
        setting: which engine to use; with `auto`, one that fails gives way to the others.
        open_engine: opens a version with one engine; by default with the real runtimes.
        in_turn: runs what puts a new engine to the proof.
        clock: monotonic seconds, for measuring engines.
    """
    opened: EngineOpener = open_engine or _open
    last: _Measurement | None = None

    def load(stored: StoredVersion) -> Engine:
        nonlocal last
        choice = choose(setting, stored.manifest)
        for name, reason in choice.passed_over.items():
            _log.info("engine passed over", version=stored.version, engine=name, reason=reason)

        def prove(name: EngineName) -> Engine:
            return _proven(opened(name, stored, threads), stored.manifest, in_turn)

        if last is not None and last.manifest_sha256 == stored.manifest_sha256:
            with suppress(EngineError):
                (again,) = _all_proven((last.engine,), stored, prove)
                return MeasuredEngine(again, last.images_per_second)
        engines = _all_proven(choice.engines, stored, prove)
        if len(engines) == 1:
            return engines[0]
        try:
            chosen, speeds = _fastest(stored, engines, in_turn, clock)
        except BaseException:
            _close(engines)
            raise
        _close(engine for engine in engines if engine is not chosen)
        last = _Measurement(stored.manifest_sha256, cast(EngineName, chosen.name), speeds)
        return MeasuredEngine(chosen, speeds)

    return load


def _all_proven(
    names: tuple[EngineName, ...], stored: StoredVersion, prove: Callable[[EngineName], Engine]
) -> list[Engine]:
    """Open engines and put them to the proof; the SavedModel only if there is no other.

    Raises:
        EngineError: all fail.
    """
    failures: list[str] = []
    engines: list[Engine] = []
    for name in names:
        if name == "savedmodel" and engines:
            break
        try:
            engines.append(prove(name))
        except RepositoryError:
            # What is on the disk is not what was published, whatever would run it.
            _close(engines)
            raise
        except Exception as error:  # noqa: BLE001 - it concerns this engine alone
            reason = str(error) or type(error).__name__
            failures.append(reason)
            _log.warning("engine failed", version=stored.version, engine=name, reason=reason)
        except BaseException:
            _close(engines)
            raise
    if not engines:
        raise EngineError(" ".join(failures))
    return engines


def _close(engines: Iterable[Engine]) -> None:
    for engine in engines:
        engine.close()


def _fastest(
    stored: StoredVersion, engines: list[Engine], in_turn: InTurn, clock: Callable[[], float]
) -> tuple[Engine, Mapping[str, float]]:
    """Measure the engines; return the best one, and what was measured of all."""
    speeds = images_per_second(engines, in_turn, clock)
    chosen = engines[0]
    for engine in engines[1:]:
        # The first ones are less exact, and have to be worth it.
        if speeds[engine.name] * _WORTHWHILE > speeds[chosen.name]:
            chosen = engine
    _log.info(
        "engine chosen",
        version=stored.version,
        engine=chosen.name,
        images_per_second={name: round(speed, 1) for name, speed in speeds.items()},
    )
    return chosen, speeds


def images_per_second(
    engines: list[Engine], in_turn: InTurn, clock: Callable[[], float]
) -> Mapping[str, float]:
    """Measure the throughput of warm engines, each by the fastest of several batches.

    They take turns, so that what else the machine does slows down all of them.
    """
    fastest = dict.fromkeys((engine.name for engine in engines), 0.0)
    for _ in range(_ROUNDS):
        for engine in engines:
            images = golden_images(_SPEED_SEED, 2 * max(1, engine.lanes))
            taken: list[float] = []

            def timed(
                engine: Engine = engine, images: Images = images, taken: list[float] = taken
            ) -> Prediction:
                # Within the turn, so that no waiting is counted.
                started = clock()
                prediction = engine.predict(images)
                taken.append(clock() - started)
                return prediction

            in_turn(timed)
            speed = len(images) / max(taken[0], _LEAST_SECONDS)
            fastest[engine.name] = max(fastest[engine.name], speed)
    return fastest


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
        with unchanged_saved_model(stored.path, stored.manifest.files) as folder:
            return SavedModelEngine(folder, threads, outputs_of(stored.manifest))
    try:
        from lentigo_engines.litert import LiteRTEngine  # noqa: PLC0415
    except ImportError as error:
        raise EngineError(
            "LiteRT is not installed here. Install lentigo-inference[litert]."
        ) from error
    file = LITERT_FILES[engine]
    record = stored.manifest.files.get(file)
    if record is None:
        raise EngineError(f"Version {stored.version} has no {file}. Choose another engine.")
    model = read_unchanged(stored.path, file, record)
    return LiteRTEngine(engine, model, threads, outputs_of(stored.manifest))
