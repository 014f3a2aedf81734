"""What the process of a shadow version does: load the version, and answer images.

It is a process of its own because the version is on trial: a runtime that crashes or takes all of
the memory ends nothing else, and no thread of the service waits for Python's lock while one of low
priority holds it.

Its argument is the descriptor of a `Connection`. The settings come over it first; the version, or
why it cannot be used, goes back. Then come images, each as its description and its pixels, and what
the version says of each goes back. All but the pixels is JSON and not pickled, so that the service
need not trust this process.
"""

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from lentigo_contract.errors import LentigoError, VersionNotFoundError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_contract.wording import first_line
from lentigo_engines.base import Images
from lentigo_inference.audit.records import ModelInUse, Said
from lentigo_inference.engines.in_turn import at_once
from lentigo_inference.engines.selection import engine_loader
from lentigo_inference.serving.decision import referral_reasons
from lentigo_inference.serving.judgement import judge
from lentigo_inference.serving.loading import load_options, load_version
from lentigo_inference.serving.model_slot import LoadedModel
from lentigo_inference.settings import Settings

# With more it would only finish a single image sooner, beside requests that it must not slow.
_THREADS: Final = 1


def main() -> None:
    """Answer until the service closes the connection."""
    with Connection(int(sys.argv[1])) as connection, suppress(EOFError, OSError):
        answer_all(connection)


def answer_all(connection: Connection) -> None:
    """Load the version that the settings name, and answer images; see the module.

    Raises:
        EOFError, OSError: the service has closed the connection.
    """
    settings = Settings(**json.loads(connection.recv_bytes()))
    try:
        model = _loaded(settings)
    except Exception as error:  # noqa: BLE001 - whatever it is, the service logs it
        _send(connection, {"failed": _told(error)})
        return
    _send(connection, {"loaded": asdict(_described(model))})
    while True:
        about = json.loads(connection.recv_bytes())
        pixels = np.frombuffer(connection.recv_bytes(), np.uint8)
        try:
            said = said_of(
                model,
                pixels.reshape(1, MODEL_SIDE, MODEL_SIDE, 3),
                about["issues"],
                force=about["force"],
            )
        except Exception as error:  # noqa: BLE001 - the next image may be answered
            _send(connection, {"failed": _told(error)})
        else:
            _send(connection, {"said": asdict(said)})


def said_of(model: LoadedModel, image: Images, issues: list[Any], *, force: bool) -> Said:
    """Return what a version says of one image, as the service would.

    Args:
        model: the version.
        image: uint8 [1, 224, 224, 3].
        issues: found in the pixels by the service.
        force: whether it was to decide also about an image that cannot be judged.

    Raises:
        EngineError: the runtime failed, or gave numbers that are not finite.
    """
    quality, decision = judge(model, model.engine.predict(image), tuple(issues), force=force)
    reasons = referral_reasons(decision, accepted=quality.accepted)
    return Said(
        diagnosis=None if decision is None else CODES[decision.diagnosis],
        probabilities={}
        if decision is None
        else dict(zip(CODES, decision.probabilities.tolist(), strict=True)),
        malignancy=None if decision is None else decision.malignancy,
        threshold=model.rule.threshold,
        refer=bool(reasons),
        reasons=reasons,
        quality=quality.reasons,
    )


def _loaded(settings: Settings) -> LoadedModel:
    version = settings.shadow_version
    if version is None:
        raise VersionNotFoundError("LENTIGO_SHADOW_VERSION names no version.")
    store = ModelStore(settings.model_repository)
    options = load_options(settings, (1,), at_once)
    return load_version(store, version, engine_loader(_THREADS, settings.engine), options)


def _described(model: LoadedModel) -> ModelInUse:
    return ModelInUse(
        model.stored.manifest.name,
        model.version,
        model.manifest_sha256,
        model.engine.name,
        model.rule.settings,
    )


def _told(error: Exception) -> str:
    if isinstance(error, LentigoError | OSError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"


def _send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    main()
