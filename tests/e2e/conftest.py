"""What the end-to-end suite shares."""

from tests.models import saved_models

__all__ = ["saved_models"]
