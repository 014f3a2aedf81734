"""The commands below `lentigo-inference audit`: make a key, verify, show and export a trail."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from lentigo_contract.fhir.codes import code_map
from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE
from lentigo_contract.wording import pluralize
from lentigo_inference.audit.export import Record, export_answers, export_confirmed, export_shadow
from lentigo_inference.audit.fhir_export import export_fhir
from lentigo_inference.audit.folder import AuditFile, records_of
from lentigo_inference.audit.lookup import AnswerFinder, records_about
from lentigo_inference.audit.records import FEEDBACK, SHADOW
from lentigo_inference.audit.signing import Verifier, make_key
from lentigo_inference.audit.verification import SeriesReport, verify
from lentigo_inference.errors import AuditFileError, UnknownAnswerError

TAMPERED: Final = 3
"""Exit code of `audit verify` if something is wrong with the records."""

commands = typer.Typer(
    help="Make the key of an audit trail; verify, show and export the trail.",
    rich_markup_mode=None,
)

DirOption = Annotated[
    Path,
    typer.Option(
        "--dir",
        metavar="DIR",
        envvar="LENTIGO_AUDIT_DIR",
        help="Folder of the audit trail.",
        show_default=False,
    ),
]


class Format(StrEnum):
    """A form to export."""

    CSV = "csv"
    ISIC = "isic"
    SHADOW = "shadow"
    FHIR = "fhir"


@commands.command("make-key")
def make_key_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes.")],
) -> None:
    """Make the key that signs a trail, and FILE.pub, with which anybody can verify it."""
    public = make_key(file)
    typer.echo(f"The service signs with {file}: only its user may read that.")
    typer.echo(f"Give {public} to whoever verifies the trail, and keep a copy elsewhere.")


@commands.command("verify")
def verify_command(
    folder: DirOption,
    key: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            envvar="LENTIGO_AUDIT_KEY",
            help="A key that the trail is signed with, by preference its FILE.pub. Repeat it if "
            "the key was changed.",
            show_default=False,
        ),
    ],
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIGEST",
            help="Digest of a record that was the last one once, as an earlier `verify` printed "
            "it. If it is not there any more, records were cut off.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Verify every record and every signature, and name what was edited, removed or forged.

    Exit code 0: all is as it was written. 3: something is wrong.
    """
    found = verify(folder, Verifier(key), head or ())
    for report in found.series:
        _print_report(report)
    for number in found.missing_series:
        typer.echo(f"removed: series {number} is gone as a whole")
    for digest in sorted(found.missing_heads):
        typer.echo(f"truncated: no series has the record {digest} any more: it was cut off")
    if not found.sound:
        raise typer.Exit(TAMPERED)


@commands.command("show")
def show_command(
    answer: Annotated[UUID, typer.Argument(metavar="ID", help="`id` of the answer.")],
    folder: DirOption,
) -> None:
    """Show what was said, to whom, by which version, why, and what it turned out to be.

    Whether the records are sound is what `audit verify` checks.
    """
    found = AnswerFinder(folder).search(answer)
    if found is None:
        raise UnknownAnswerError(
            f"{folder} has no answer {answer}. Look in the trails of other folders, or of the time "
            "before retention."
        )
    file, answered = found
    try:
        shown = list(_shown(answered, file))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AuditFileError(
            f"Record {answered['seq']} is not as the service writes it. `audit verify` says what "
            "was done to the trail."
        ) from error
    for name, value in shown:
        typer.echo(f"{name:<14}{value}")
    for record in records_about(folder, answer, FEEDBACK):
        typer.echo(
            f"{'Feedback':<14}{record['diagnosis']}, by {record['confirmed_by']}, at "
            f"{record['time']}, from {_whom(record)}"
        )
    for record in records_about(folder, answer, SHADOW):
        said = record.get("diagnosis") or "no diagnosis"
        typer.echo(
            f"{'In the shadow':<14}version {record.get('version')}: {said}, refer "
            f"{'yes' if record.get('refer') else 'no'}; it was no part of the answer"
        )
    typer.echo(RESEARCH_NOTICE)


@commands.command("export")
def export_command(
    folder: DirOption,
    table: Annotated[
        Format,
        typer.Option(
            "--format",
            help="csv: every answer, with the feedback that counts; isic: the confirmed diagnosis "
            "of each image, by its digest; shadow: what a version in the shadow said, beside the "
            "answer; fhir: a transaction Bundle of FHIR R4 on a line for each record.",
        ),
    ] = Format.CSV,
    codes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="LENTIGO_FHIR_CODES",
            help="For fhir: TOML file with the codes of other systems; by default those that come "
            "with Lentigo.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the trail to standard output, as a table or as FHIR."""
    if table is Format.CSV:
        export_answers(folder, sys.stdout)
    elif table is Format.ISIC:
        export_confirmed(folder, sys.stdout)
    elif table is Format.SHADOW:
        export_shadow(folder, sys.stdout)
    else:
        export_fhir(folder, sys.stdout, code_map(codes))


def _print_report(report: SeriesReport) -> None:
    where = f"series {report.number}"
    for finding in report.findings:
        typer.echo(f"{finding.flaw}: {where}: {finding.text}")
    if report.unlisted:
        more = pluralize(report.unlisted, "more finding is", "more findings are")
        typer.echo(f"{where}: {more} not listed")
    for note in report.notes:
        typer.echo(f"note: {where}: {note}")
    unsigned = report.head.seq - report.vouched
    last = "last record is" if unsigned == 1 else f"last {unsigned:,} records are"
    tail = f"; it is written now, and its {last} not signed yet"
    count = f"{pluralize(report.records, 'record')} in {pluralize(report.files, 'file')}"
    typer.echo(
        f"{where}: {'TAMPERED' if report.findings else 'sound'}, {count}, "
        f"head {report.head.seq} {report.head.digest}"
        f"{tail if report.written and unsigned else ''}"
    )


def _shown(record: Record, file: AuditFile) -> Iterator[tuple[str, Any]]:
    names = {each.code: each.name for each in DIAGNOSES}
    yield "Answer", f"{record['id']}, at {record['time']}"
    yield "Record", f"{record['seq']} of series {file.path.parent.name}, in {file.path}"
    yield "To", _whom(record)
    yield "Request", record["request_id"]
    yield "Image", f"SHA-256 {record['image_sha256']}"
    code = record["diagnosis"]
    yield "Said", "no diagnosis" if code is None else f"{code} ({names.get(code, code)})"
    yield "Refer", "yes" if record["refer"] else "no"
    if record["malignancy"] is not None:
        yield (
            "Why",
            f"malignancy {record['malignancy']:.4f}, threshold {record['threshold']:.4f}"
            + (f"; {', '.join(record['reasons'])}" if record["reasons"] else ""),
        )
    if record["quality"]:
        yield "Quality", ", ".join(record["quality"])
    ranked = sorted(record["probabilities"].items(), key=lambda each: -each[1])
    if ranked:
        yield "Probabilities", ", ".join(f"{each} {value:.4f}" for each, value in ranked)
    yield "By", f"{record['model']} {record['version']}, {record['engine']}"
    yield "Manifest", f"SHA-256 {record['manifest_sha256']}"
    yield "Settings", ", ".join(f"{name} {value}" for name, value in record["settings"].items())
    yield "Service", f"lentigo-inference {next(records_of(file)).get('service', 'unknown')}"


def _whom(record: Record) -> str:
    key = f"key {record['key']}" if record["key"] else "no key"
    return f"{key}, address {record['client'] or 'unknown'}"
