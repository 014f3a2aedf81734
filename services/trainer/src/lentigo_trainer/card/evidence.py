"""What a model card rests on: a version's manifest, and figures that fit it and each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lentigo_contract.errors import ScorecardError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.evaluation.report import Scorecard


@dataclass(frozen=True, slots=True)
class Other:
    """Another version, to stand beside this one.

    Attributes:
        label: what the card calls it.
        figures: its scorecard.
    """

    label: str
    figures: Scorecard


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a version; `checked` makes sure that it fits together.

    Attributes:
        manifest: of the version.
        main: its figures on the images that the card speaks of first.
        further: its figures on other images.
        others: other versions, each on the images of `main` or of one of `further`.
    """

    manifest: Manifest
    main: Scorecard
    further: tuple[Scorecard, ...] = ()
    others: tuple[Other, ...] = ()

    @property
    def sets(self) -> tuple[Scorecard, ...]:
        """The version's figures, on every set of images."""
        return (self.main, *self.further)

    def beside(self, card: Scorecard) -> tuple[Other, ...]:
        """Give the other versions that were measured on the same images."""
        return tuple(each for each in self.others if each.figures.image_set == card.image_set)


def checked(
    manifest: Manifest,
    main: Scorecard,
    further: Sequence[Scorecard] = (),
    others: Sequence[Other] = (),
) -> Evidence:
    """Put figures together that belong together.

    Raises:
        ScorecardError: figures of another version than the manifest's, two of the same images, or
            another version's on images that this one was not measured on.
    """
    evidence = Evidence(manifest, main, tuple(further), tuple(others))
    for card in evidence.sets:
        if not _is_of(manifest, card):
            raise ScorecardError(
                f"The figures on {card.images} are those of {card.subject.named}, trained "
                f"{card.subject.created}; the card is of {manifest.name} {manifest.version}, "
                f"trained {manifest.created.isoformat()}. Measure that version, or name the other "
                "with --model."
            )
    measured = {card.image_set: card for card in evidence.sets}
    if len(measured) < len(evidence.sets):
        raise ScorecardError(
            f"Two of the evaluations are of the same images ({main.images} or others). Give each "
            "set of images once."
        )
    for other in others:
        if other.figures.image_set not in measured:
            known = " and ".join(f"{each.images} ({_count(each)})" for each in measured.values())
            raise ScorecardError(
                f"{other.label} was measured on {other.figures.images} ({_count(other.figures)}); "
                f"the version of the card on {known}. Figures of different images cannot stand "
                "beside each other: measure both on one set."
            )
        if _is_of(manifest, other.figures):
            raise ScorecardError(
                f"{other.label} is the version of the card itself. Give --beside the figures of "
                "another."
            )
    return evidence


def _is_of(manifest: Manifest, card: Scorecard) -> bool:
    subject = card.subject
    return (subject.name, subject.version, datetime.fromisoformat(subject.created)) == (
        manifest.name,
        manifest.version,
        manifest.created,
    )


def _count(card: Scorecard) -> str:
    return f"{card.evaluation.examples:,} images"
