"""What the commands share that publish: the key, the gate and the message."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lentigo_trainer.config.training import WorkFolder
from lentigo_trainer.errors import ReleaseRefusedError
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.export.signing import ModelSigner


def signer_from(key: Path | None) -> "ModelSigner | None":
    """Read the key of `--sign`, if it is given.

    Raises:
        SigningError: it cannot be used.
    """
    if key is None:
        return None
    from lentigo_trainer.export.signing import read_model_signer  # noqa: PLC0415 - see the module

    return read_model_signer(key)


def warn_of_limit(limit: int | None, force: bool) -> None:
    """Say before a run with `--limit` that it will not be published."""
    if limit is not None and not force:
        typer.echo(
            "Because of --limit this run will not be published, unless --force is given too."
        )


def publish_run(
    work: WorkFolder, run: Path, models: Path, force: bool, signer: "ModelSigner | None"
) -> None:
    """Publish a finished run, if nothing speaks against it or it is forced.

    Args:
        work: that it is in.
        run: its folder.
        models: the model repository.
        force: publish in spite of an objection.
        signer: signs the version.

    Raises:
        ReleaseRefusedError: something speaks against it; the run is kept.
    """
    with quiet_tensorflow():
        from lentigo_trainer.export.publishing import publish_candidate  # noqa: PLC0415 - see cli
        from lentigo_trainer.export.release_gate import find_objection  # noqa: PLC0415 - see cli
        from lentigo_trainer.export.tracking import track_version  # noqa: PLC0415 - see cli

    objection = find_objection(run, models, work.prepared, progress_for())
    if objection and not force:
        again = ["--work", work.root, "--run", os.path.relpath(run, work.root)]
        again += ["--models", models, "--force"]
        again += [] if signer is None else ["--sign", signer.key]
        command = shlex.join(["lentigo-train", "publish", *map(str, again)])
        raise ReleaseRefusedError(
            f"{run} is kept, but not published. {objection} To publish it all the same: {command}"
        )
    sign = None if signer is None else signer.sign
    stored = publish_candidate(run, models, objection, sign)
    track_version(run, stored.version, objection, progress_for())
    forced = f". This was forced, and the manifest says why: {objection}" if objection else ""
    signed = "" if signer is None else f", signed with the key {signer.fingerprint}"
    typer.echo(f"Published version {stored.version} in {stored.path}{signed}{forced}")
