import numpy as np
import pytest

from lentigo_contract.labels import CODES, RESEARCH_NOTICE, index_of
from lentigo_contract.manifest.dataset import (
    DatasetRecord,
    ExtraDatasetRecord,
    ImageFiles,
    SplitRecord,
)
from lentigo_contract.manifest.manifest import OodThreshold, Thresholds
from lentigo_contract.manifest.probabilities import Calibration, MalignancyCalibration
from lentigo_trainer.evaluation.images.image_sets import VALIDATION, ImageSet
from lentigo_trainer.evaluation.report import EvaluationReport, evaluated_model, score
from lentigo_trainer.metrics.arrays import LabelArray
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.metrics.out_of_fold import OutOfFoldMetrics
from lentigo_trainer.reporting.model_card.card import model_card
from lentigo_trainer.reporting.model_card.evidence import Other, validate_evidence
from tests.fakes import made_compression, made_manifest
from tests.trainer.evaluation.cards import SHARES, made_card
from tests.trainer.metrics.made_up_answers import certain

NV, MEL = index_of("nv"), index_of("mel")
MANIFEST = made_manifest(version=3)
SHARE = Estimate(value=0.7712, low=0.75, high=0.79, n=9077)
AREA = Estimate(value=0.9312, low=0.92, high=0.94, n=9077)
FOUND = OutOfFoldMetrics(
    folds=5,
    images=9077,
    lesions=6532,
    metrics={"balanced_accuracy": SHARE, "malignant_auc": AREA, "recall df": SHARE},
)


@pytest.fixture(scope="module")
def main() -> EvaluationReport:
    return made_card(refused=2)


@pytest.fixture(scope="module")
def text(main: EvaluationReport) -> str:
    return model_card(validate_evidence(MANIFEST, main))


def scored(truth: LabelArray, answers: LabelArray) -> EvaluationReport:
    """Sure answers about images of unknown lesions."""
    images = ImageSet("few images", tuple(map(str, range(truth.size))), truth, ())
    made = (evaluated_model(MANIFEST, 3), images, "none: made up", certain(*answers), MANIFEST)
    return score(*made, seed=0, resamples=50)


def line_of(text: str, start: str) -> str:
    """The one line that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line


def test_it_opens_with_the_notice_and_says_plainly_what_it_is_not_for(text: str) -> None:
    assert f"> **{RESEARCH_NOTICE}**" in text
    assert "**Not for**" in text
    assert "a low probability of malignancy is no all-clear" in text
    assert "CC BY-NC 4.0" in text
    assert "non-commercial" in text


def test_what_may_do_harm_comes_before_the_figures(text: str) -> None:
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    places = [
        headings.index(f"## {name}")
        for name in ("Misuse", "Known failures", "Never tested", "How well it does")
    ]
    assert places == sorted(places)


def test_every_figure_stands_beside_baseline_interval_and_n(
    text: str, main: EvaluationReport
) -> None:
    _, _, value, n, baseline, _ = line_of(text, "| Accuracy").split("|")
    assert "(" in value
    assert int(n) == main.evaluation.examples
    assert "(" in baseline
    assert line_of(text, "| Balanced accuracy")
    short = text[: text.index("## Intended use")]
    assert "always answering nv would have" in short
    assert "Balanced accuracy" in short


@pytest.mark.parametrize(
    "title",
    [
        "Each diagnosis against the rest",
        "What an answer is worth",
        "Specificity for melanoma at a given sensitivity",
        "Calibration",
        "Risk against coverage",
        "Referral from a probability of malignancy of 0.3",
        "By sex",
        "By age",
        "By site",
        "By confirmation",
    ],
)
def test_the_first_set_has_every_table(title: str, text: str) -> None:
    assert f"\n#### {title}" in text


def test_tables_have_as_many_cells_in_every_row(text: str) -> None:
    for block in text.split("\n\n"):
        rows = [line.count("|") for line in block.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1


def test_the_same_evidence_gives_the_same_card(text: str, main: EvaluationReport) -> None:
    assert model_card(validate_evidence(MANIFEST, main)) == text


def test_a_further_set_has_its_own_section_without_subgroups(main: EvaluationReport) -> None:
    other = made_card(seed=2, named="the second set")
    text = model_card(validate_evidence(MANIFEST, main, [other]))
    section = text.split("### On the second set")[1].split("\n## ")[0]
    assert "#### Calibration" in section
    assert "#### By sex" not in section
    assert "On the second set:\n\n- **melanomas called benign:" in text


def test_another_version_stands_beside_it_with_the_paired_difference(
    main: EvaluationReport,
) -> None:
    theirs = made_card(skill=1.0, version=2)
    evidence = validate_evidence(MANIFEST, main, others=[Other("the paper's recipe", theirs)])
    text = model_card(evidence)
    section = text.split("### Beside the paper's recipe, on 200 made-up images")[1].split("\n### ")[
        0
    ]
    head = "| Figure | This version | the paper's recipe | Difference | n | Always nv |"
    assert head in section
    difference = line_of(section, "| Balanced accuracy").split("|")[4]
    assert difference.strip().startswith("+")
    assert " points (" in difference
    assert line_of(section, "| *melanomas called benign*")


def test_without_answers_the_difference_is_not_measured(main: EvaluationReport) -> None:
    theirs = made_card(skill=1.0, version=2).without_answers()
    text = model_card(validate_evidence(MANIFEST, main, others=[Other("theirs", theirs)]))
    section = text.split("### Beside theirs")[1].split("\n### ")[0]
    assert line_of(section, "| Accuracy").split("|")[4].strip() == "not measured"
    assert "not measured, because the answers were not kept" in section


def test_melanomas_called_benign_are_counted_with_those_referred() -> None:
    truth = np.array([NV] * 16 + [MEL] * 4)
    card = scored(truth, np.array([NV] * 16 + [MEL, NV, NV, NV]))
    text = model_card(validate_evidence(MANIFEST, card))
    told = line_of(text, "- **melanomas called benign: 3 of 4**")
    assert "still refers 0 of these; 3 of 4 melanomas are neither" in told
    assert "- mel: 3 of 4 images (75.0 %) got another answer, most often nv (3)" in text
    assert "- most frequent confusions: mel called nv, 3 of 4" in text


def test_what_is_undefined_or_was_not_measured_is_said() -> None:
    text = model_card(validate_evidence(MANIFEST, scored(np.array([NV] * 12), np.array([NV] * 12))))
    assert "| df | 0 | undefined |" in text
    assert "Melanomas named as such: undefined." in text
    assert "- melanomas called benign: undefined, there is no image of melanoma" in text
    assert "- images refused as unfit: not measured" in text
    assert "By sex, age, site and confirmation: not measured." in text
    assert "- by sex, age and site on the body: not measured" in text


def test_the_weakest_parts_are_named_with_their_size(text: str) -> None:
    told = line_of(text, "- lowest balanced accuracy by sex: ")
    assert ", n = " in told
    assert "; of all images " in told


def test_images_refused_are_counted(text: str) -> None:
    told = line_of(text, "- images refused as unfit, though each shows a lesion: ")
    assert "1.0 % (" in told
    assert told.endswith(" of 200")


@pytest.mark.parametrize(
    ("threshold", "told"), [(0.3, "0.3"), (0.000126018, "0.000126"), (3e-07, "0.0000003")]
)
def test_a_small_threshold_is_told_in_full_with_its_source(
    threshold: float, told: str, main: EvaluationReport
) -> None:
    thresholds = Thresholds(malignancy=threshold, source="largest for savedmodel; litert-int8")
    text = model_card(validate_evidence(made_manifest(version=3, thresholds=thresholds), main))
    assert f"sum to at least {told}, whichever engine answers." in text
    assert "How that was chosen: largest for savedmodel; litert-int8." in text


def test_thresholds_that_a_version_lacks_are_said_to_be_lacking(
    text: str, main: EvaluationReport
) -> None:
    assert "- Abstention: there is no threshold" in text
    assert "- Unlike images: this version does not tell" in text
    assert "images that show no skin lesion: it names one of the seven for them" in text
    manifest = made_manifest(
        version=3,
        thresholds=Thresholds(
            malignancy=0.3, source="tuning", abstention=0.41, abstention_source="lowest risk"
        ),
        unlikeness=OodThreshold(limit=1.25, method="Distance.", source="the 99th percentile"),
    )
    full = model_card(validate_evidence(manifest, main))
    assert "is below 0.41, the diagnosis is not relied on" in full
    assert "How that was chosen: lowest risk." in full
    assert "unlikeness is above 1.25" in full
    assert "images that show no skin lesion" not in full


def test_a_version_without_a_hold_out_says_so(text: str, main: EvaluationReport) -> None:
    assert "**No hold-out was kept**" in text
    split = SplitRecord(train=10, validation=4, tuning=2, hold_out=3, digest="b" * 64)
    kept = model_card(validate_evidence(made_manifest(version=3, split=split), main))
    assert "No hold-out was kept" not in kept
    assert "3 are the hold-out" in kept


def test_out_of_fold_metrics_are_said_to_be_those_of_sister_networks(
    text: str, main: EvaluationReport
) -> None:
    assert "Out of fold" not in text
    manifest = MANIFEST.model_copy(update={"out_of_fold": FOUND.model_dump(mode="json")})
    card = model_card(validate_evidence(manifest, main))
    words = " ".join(card.split())
    assert "9,077 images of 6,532 lesions" in words
    assert "**These are not its own answers**: 5 sister networks" in words
    assert "Calibration and thresholds were chosen on the answers of 5 sister networks" in words
    assert "| Balanced accuracy | 77.1 % (75.0 to 79.0) | 9,077 |" in card
    assert "| AUC, malignant against benign | 0.931 (0.920 to 0.940) | 9,077 |" in card
    assert "| Recall df | 77.1 % (75.0 to 79.0) | 9,077 |" in card


def test_whether_turning_changes_the_diagnosis_is_told_or_said_to_be_unmeasured(
    text: str, main: EvaluationReport
) -> None:
    assert "when an image is turned or mirrored: not measured" in " ".join(text.split())
    share = Estimate(value=0.9, low=0.85, high=0.95, n=100)
    turned = main.model_copy(update={"unchanged_when_turned": share})
    card = model_card(validate_evidence(MANIFEST, turned))
    assert "90.0 % (85.0 to 95.0) of them get the same diagnosis" in " ".join(card.split())


def test_thresholds_chosen_on_the_very_images_are_said_to_flatter(
    text: str, main: EvaluationReport
) -> None:
    source = f"largest on {main.images}; savedmodel"
    manifest = made_manifest(version=3, thresholds=Thresholds(malignancy=0.3, source=source))
    flattered = model_card(validate_evidence(manifest, main))
    short = flattered[: flattered.index("## Intended use")]
    assert "chosen on these very images, which flatters it" in short
    assert "what they do there flatters them" in flattered
    assert "flatters" not in text


@pytest.mark.parametrize("chosen_on_them", [True, False])
def test_a_limit_chosen_on_the_very_images_makes_their_refused_share_dependent(
    chosen_on_them: bool,
) -> None:
    chosen_on = VALIDATION.description if chosen_on_them else "the answers of 5 sister networks"
    manifest = made_manifest(
        version=3,
        out_of_fold=FOUND.model_dump(mode="json"),
        unlikeness=OodThreshold(limit=1.25, method="distance", source=f"lowest on {chosen_on}; x"),
    )
    main = made_card(manifest=manifest, named=VALIDATION.description, refused=2)
    other = made_card(manifest=manifest, seed=2, named="the second set", refused=2)
    alone = model_card(validate_evidence(manifest, main))
    both = model_card(validate_evidence(manifest, main, [other]))
    told = "the limit of unlikeness was chosen on these images"
    assert both.lower().count(told) == (2 if chosen_on_them else 0)
    section = both.split("### On the second set")[1]
    assert told not in section.lower()
    role = "trained nothing and chose one threshold, the limit of unlikeness"
    assert (role in both) == chosen_on_them
    assert ("trained and chose nothing" in both) != chosen_on_them
    untested = "- images that neither trained it nor chose anything"
    assert (untested in alone) == chosen_on_them
    assert untested not in both


def test_a_name_with_a_bar_breaks_no_table(main: EvaluationReport) -> None:
    theirs = made_card(skill=1.0, version=2)
    text = model_card(validate_evidence(MANIFEST, main, others=[Other("a|b", theirs)]))
    assert "| Figure | This version | a\\|b | Difference |" in text


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((300, 225), "**These were not the published originals**"),
        ((600, 450), "10,015 of the image files had 600x450 pixels"),
    ],
)
def test_the_card_tells_what_the_image_files_were(size: tuple[int, int], words: str) -> None:
    width, height = size
    files = ImageFiles(
        width=width, height=height, of_this_size=10_015, jpeg_quality=88, digest="d" * 64
    )
    dataset = DatasetRecord(
        name="HAM10000", source="doi", license="none", images=10_015, digest="a" * 64, files=files
    )
    manifest = made_manifest(version=3, dataset=dataset)
    text = model_card(validate_evidence(manifest, made_card(manifest=manifest)))
    assert words in text
    assert ("not the published originals" in text) == (size != (600, 450))
    assert "JPEG quality was about 88" in text


def test_the_card_says_where_the_image_files_are_not_known() -> None:
    manifest = MANIFEST
    text = model_card(validate_evidence(manifest, made_card(manifest=manifest)))
    assert "What size and quality the image files had was not recorded" in text


def test_the_card_speaks_of_both_decisions_and_of_the_prevalence() -> None:
    manifest = made_manifest(
        version=3,
        prevalence=dict(zip(CODES, SHARES, strict=True)),
        malignancy_calibration=MalignancyCalibration(
            slope=0.8, intercept=-0.4, source="fitted on made-up answers"
        ),
    )
    ours, theirs = made_card(manifest=manifest), made_card(skill=1.0, version=2)
    text = model_card(validate_evidence(manifest, ours, others=[Other("theirs", theirs)]))
    assert line_of(text, "- Diagnoses are decided as if the seven were equally frequent")
    assert "balanced accuracy" in line_of(text, "- The most probable diagnosis instead: correct ")
    assert "akiec has 6.0 %, bcc has 6.0 %" in line_of(text, "- Prevalence: the probabilities hold")
    told = line_of(text, "- Probability of malignancy: ")
    assert "times 0.800, minus 0.400 (Platt scaling). It was fitted on made-up answers." in told
    assert "when it is at least 0.3, whichever engine" in line_of(text, "- Referral: the service")
    beside = text.split("### Beside theirs")[1].split("\n### ")[0]
    assert line_of(beside, "| Most probable diagnosis: accuracy")
    section = text.split("### On 200 made-up images")[1]
    assert line_of(section, "| Calibration error of malignancy")


def test_the_card_names_the_temperature_and_the_biases_of_the_diagnoses() -> None:
    calibration = Calibration(
        method="bias-corrected temperature",
        temperature=0.786,
        biases=(-0.65, -0.31, 0.67, -1.32, 0.89, 2.23, -1.5),
        note="It was fitted on made-up answers.",
    )
    manifest = made_manifest(version=3, calibration=calibration)
    text = model_card(validate_evidence(manifest, made_card(manifest=manifest)))
    told = line_of(text, "- Calibration: ")
    assert "divided by a temperature of 0.786" in told
    assert (
        "added (akiec -0.65, bcc -0.31, bkl 0.67, df -1.32, mel 0.89, nv 2.23, vasc -1.50)" in told
    )
    assert "not calibrated" not in told


def test_a_card_of_a_version_without_a_prevalence_says_so(text: str) -> None:
    assert line_of(text, "- Prevalence: not declared.")
    assert "Most probable diagnosis: accuracy" not in text


def test_sets_that_it_learned_from_besides_are_named_with_licence_and_credit(
    text: str, main: EvaluationReport
) -> None:
    extra = ExtraDatasetRecord(
        name="clinic",
        license="CC BY-NC-SA 4.0",
        licenses={"CC BY-NC-SA 4.0": 1_200},
        attributions={"A clinic": 1_000, "Another": 200},
        images=840,
        kept_out=360,
        classes={"mel": 300, "nv": 900},
        knows=("mel", "nv"),
        left_out={},
        compared_with=(),
        digest="0" * 64,
    )
    license_text = "CC BY-NC-SA 4.0"
    manifest = made_manifest(version=3, license=license_text, extra_datasets=(extra,))
    card = " ".join(model_card(validate_evidence(manifest, main)).split())
    assert "840 images of clinic, licence CC BY-NC-SA 4.0, which knows mel, nv" in card
    assert "360 further images of it never trained" in card
    assert "Credit: A clinic; Another." in card
    assert "so they are under CC BY-NC-SA 4.0" in card
    assert "It also learned from" not in text


def test_a_smaller_network_is_named_before_its_metrics(text: str, main: EvaluationReport) -> None:
    manifest = made_manifest(version=3, compression=made_compression())
    card = " ".join(model_card(validate_evidence(manifest, main)).split())
    made = card.index("**Smaller than the recipe makes it** (variant `small`): half of the")
    assert made < card.index("## In short")
    assert "12.3 million multiplications" in card
    assert "fold 2 of 5 of the training images, which trained neither this network nor" in card
    assert "Smaller than the recipe" not in text
