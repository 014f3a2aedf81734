"""JSON documents that are right but for a few places.

Flipped bytes hardly ever reach the checks behind a JSON parser. So an input may be a list of edits
of a document that is accepted: three bytes each, for a place and what happens there.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    1,
    -1,
    2**63,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "1",
    "../x",
    "x" * 5000,
    "\ud800",
    [],
    [[]],
    [0.125] * 7,
    {},
    {"x": 1},
)
_DELETE: Final = 255
_REPEAT: Final = 254


def edited(document: Any, edits: bytes) -> bytes:  # noqa: ANN401 - any JSON
    """Return the text of a document after edits."""
    root = [copy.deepcopy(document)]
    for start in range(0, len(edits) - 2, 3):
        places = list(_places(root))
        if not places:
            break
        holder, key = places[int.from_bytes(edits[start : start + 2]) % len(places)]
        action = edits[start + 2]
        if action == _DELETE and holder is not root:
            del holder[key]
        elif action == _REPEAT and isinstance(holder, list) and holder is not root:
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(VALUES[action % len(VALUES)])
    return json.dumps(root[0]).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any JSON
    """Give every place of a document, as what holds it and its key or number there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in pairs:
        yield value, key
        if isinstance(each, dict | list):
            yield from _places(each)
