"""UIDs of result objects, which follow from what they are about.

So a result that is delivered twice, after a crash or a lost response, is the same object twice, and
an archive keeps one.
"""

import uuid
from collections.abc import Callable
from typing import Final

UidMaker = Callable[[str], str]
"""Returns the UID for a purpose, such as `structured-report`; the same for the same purpose."""

# Made once, at random; never change it, or every result would be delivered again as a new one.
_NAMESPACE: Final = uuid.UUID("6f2b3c1e-8a0d-4e57-9b51-0c9d3a6e7f42")


def uid_maker(sop_instance_uid: str, model_digest: str) -> UidMaker:
    """Return the maker of the UIDs for what one model version says of one instance.

    They have the form 2.25 with a UUID (DICOM PS3.5, B.2), which needs no registered root. The UUID
    is of version 5 (RFC 9562).
    """

    def make(purpose: str) -> str:
        name = f"{sop_instance_uid}\n{model_digest}\n{purpose}"
        return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"

    return make
