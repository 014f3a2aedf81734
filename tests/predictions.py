"""Answers of `POST /v1/predictions` that are made up, as JSON."""

from typing import Any, Final

from lentigo_contract.labels import CODES, DIAGNOSES, RESEARCH_NOTICE

DIGEST: Final = "4e" * 32
"""Of the version's manifest."""

ANSWER_ID: Final = "019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10"
SHARES: Final = dict(zip(CODES, (0.02, 0.05, 0.08, 0.01, 0.62, 0.21, 0.01), strict=True))


def answer_document(**members: Any) -> dict[str, Any]:
    """Give an answer that names a melanoma; `members` take the place of its own."""
    ranked = sorted(DIAGNOSES, key=lambda each: -SHARES[each.code])
    document: dict[str, Any] = {
        "id": ANSWER_ID,
        "model": {
            "name": "lentigo",
            "version": "4",
            "architecture": "efficientnet_lite2",
            "engine": "litert-int8",
            "digest": DIGEST,
        },
        "image": {"sha256": "9f" * 32, "format": "JPEG", "width": 600, "height": 450},
        "quality": {
            "accepted": True,
            "reasons": [],
            "unlikeness": 3.1,
            "unlikeness_limit": 7.5,
        },
        "diagnosis": {
            "code": "mel",
            "name": "Melanoma",
            "probability": SHARES["mel"],
            "decided_by": "balanced",
            "confident": True,
        },
        "probabilities": [
            {
                "code": each.code,
                "name": each.name,
                "probability": SHARES[each.code],
                "malignant": each.malignant,
            }
            for each in ranked
        ],
        "malignancy": {
            "probability": 0.69,
            "threshold": 0.18,
            "refer": True,
            "reasons": ["malignancy"],
        },
        "notice": RESEARCH_NOTICE,
    }
    return {**document, **members}


def refusal_document(*reasons: str) -> dict[str, Any]:
    """Give an answer without a diagnosis."""
    return answer_document(
        quality={
            "accepted": False,
            "reasons": list(reasons or ("blurred",)),
            "unlikeness": None,
            "unlikeness_limit": 7.5,
        },
        diagnosis=None,
        probabilities=[],
        malignancy={
            "probability": None,
            "threshold": 0.18,
            "refer": True,
            "reasons": ["unusable"],
        },
    )
