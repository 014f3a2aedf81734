"""`lentigo-train sign`: sign a version that is published already."""

from pathlib import Path
from typing import Annotated

import typer


def sign(
    version: Annotated[
        Path,
        typer.Argument(
            metavar="VERSION", help="Folder of a published version, such as models/lentigo/3."
        ),
    ],
    key: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Private key on the curve P-256, P-384 or P-521, in PEM; only its user may read "
            "it.",
        ),
    ],
) -> None:
    """Sign a published version by OpenSSF Model Signing, in place of an earlier signature."""
    from lentigo_trainer.export.signing import read_model_signer, sign_version  # noqa: PLC0415 - see cli

    signer = read_model_signer(key)
    sign_version(version, signer)
    typer.echo(f"Signed {version} with the key {signer.fingerprint}")
