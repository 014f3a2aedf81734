"""`lentigo-inference compare`: where a shadow version and the version in use differ."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_inference.errors import AuditFileError
from lentigo_inference.shadow.comparison import Agreement, Comparison, compare


def compare_command(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            envvar="LENTIGO_AUDIT_DIR",
            help="Folder of the audit trail.",
            show_default=False,
        ),
    ],
    shadow: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="The only shadow version to look at.", show_default=False
        ),
    ] = None,
) -> None:
    """Compare the version of LENTIGO_SHADOW_VERSION with the one that answered.

    For each pair of versions it prints how far they agree, with 95 % intervals, by the diagnosis of
    the version that answered, and the id of every answer on which they differ; `audit show ID` has
    the rest. Whether the records are sound is what `audit verify` checks.
    """
    found = compare(folder, shadow)
    if not found:
        which = "a shadow version" if shadow is None else f"version {shadow} in the shadow"
        raise AuditFileError(
            f"{folder} has no record of {which}. Set LENTIGO_SHADOW_VERSION, and compare again "
            "once images were answered."
        )
    for comparison in found:
        for line in _lines(comparison):
            typer.echo(line)
    typer.echo(RESEARCH_NOTICE)


def _lines(comparison: Comparison) -> Iterator[str]:
    served, shadow = comparison.served, comparison.shadow
    yield (
        f"Version {shadow} in the shadow of version {served}: {comparison.total:,} images, "
        f"{comparison.first} to {comparison.last}"
    )
    yield f"Manifest of version {shadow}: SHA-256 {comparison.manifest_sha256}"
    yield ""
    yield f"{f'Version {served} said':<16}{'n':>8}   {'same diagnosis':<28}same refer"
    for code in (*comparison.classes, None):
        diagnosis, refer = comparison.on_diagnosis(code), comparison.on_referral(code)
        yield f"{code or 'all':<16}{diagnosis.images:>8,}   {_told(diagnosis):<28}{_told(refer)}"
    yield ""
    referrals = comparison.referrals
    yield (
        f"Refer: both {referrals[True, True]:,}, neither {referrals[False, False]:,}, only version "
        f"{served} {referrals[True, False]:,}, only version {shadow} {referrals[False, True]:,}"
    )
    for (before, after), images in comparison.changes.most_common():
        yield f"{before} -> {after}: {images:,}"
    yield ""
    yield f"They differ on {len(comparison.differences):,} answers:"
    for each in comparison.differences:
        diagnoses, refers = each.diagnoses, map(_word, each.refers)
        yield f"{each.answer}  {each.time}  {' -> '.join(diagnoses)}  refer {' -> '.join(refers)}"
    yield ""


def _told(agreement: Agreement) -> str:
    low, high = agreement.interval
    return f"{100 * agreement.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _word(refer: bool) -> str:
    return "yes" if refer else "no"
