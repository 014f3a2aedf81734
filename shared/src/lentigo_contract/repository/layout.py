"""Names in the model repository, which readers and publishers agree on.

    <root>/<name>/<N>/manifest.json     N = 1, 2, 3, ...: published
    <root>/<name>/<N>/training-set.csv.gz   what it was trained on; absent in older versions
    <root>/<name>/<N>/model.sig         signature of all other files, if it was signed
    <root>/<name>/.staging-<uuid>/      being written; readers ignore it

The layout is that of TensorFlow Serving, Triton and KServe.
"""

import re
from pathlib import Path
from typing import Final

from lentigo_contract.errors import StorageError

MANIFEST_NAME: Final = "manifest.json"
TRAINING_SET_NAME: Final = "training-set.csv.gz"
SIGNATURE_NAME: Final = "model.sig"
STAGING_PREFIX: Final = ".staging-"

# Published folders and files are for every user: the service reads the volume under another id.
FOLDER_MODE: Final = 0o755
FILE_MODE: Final = 0o644

# No leading zero, and within the 64-bit signed numbers that the other servers of this layout use.
_VERSION_NAME: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def is_version_name(name: str) -> bool:
    """Return whether a name could be a version's."""
    return _VERSION_NAME.fullmatch(name) is not None


def version_names(folder: Path) -> list[str]:
    """Return every name in `folder` that could be a version's, whatever stands behind it.

    Raises:
        StorageError: the folder is there but cannot be listed.
    """
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(
            f"The model repository {folder} cannot be listed ({error.strerror or error}). "
            "Check that it is a folder which this user may read."
        ) from error
    return [name for name in names if is_version_name(name)]
