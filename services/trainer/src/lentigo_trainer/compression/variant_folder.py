"""The folder of a variant: what is kept of one that is finished."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.compression.cost import compressed_bytes, multiplications
from lentigo_trainer.compression.records import VariantFile
from lentigo_trainer.compression.variants import Variant, network_from
from lentigo_trainer.errors import DamagedCacheError
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.storage import storage_errors, write_whole

_RESULT: Final = "result.json"
_NETWORK: Final = "network.keras"
_MODEL: Final = "model.tflite"
_ANSWERS: Final = "answers.npy"


@dataclass(frozen=True, slots=True)
class VariantFolder:
    """The folder of a variant; reading raises DamagedCacheError if that cannot be done.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def is_finished(self) -> bool:
        """Whether the variant is made and measured."""
        return (self.path / _RESULT).is_file()

    def keep(self, made: Variant, answers: npt.NDArray[np.float32]) -> None:
        """Write a variant and its answers; then it is finished.

        Args:
            made: the variant.
            answers: for the fold, logits up to a constant, [n, 7].

        Raises:
            StorageError: the disk is full or not writable.
        """
        with storage_errors(self.path / _NETWORK):
            unfinished = self.path / f"unfinished_{_NETWORK}"
            made.network.whole.save(unfinished)
            unfinished.replace(self.path / _NETWORK)
        write_whole(self.path / _MODEL, made.model)
        write_whole(self.path / _ANSWERS, lambda file: np.save(file, answers))
        # From here on the variant is finished.
        write_whole(self.path / _RESULT, _result(made).model_dump_json(indent=2).encode())
        (self.path / "checkpoint.npz").unlink(missing_ok=True)

    def result(self) -> VariantFile:
        """Return what is known of the variant."""
        return VariantFile.read(self.path / _RESULT)

    def network(self) -> Network:
        """Load its network; see `Variant.network`."""
        path = self.path / _NETWORK
        try:
            whole = keras.models.load_model(path, compile=False)
        except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
            raise self._damaged(path) from error
        return network_from(whole, self.result().feature_map)

    def logits(self) -> npt.NDArray[np.float32]:
        """Return its answers for the fold: logits up to a constant, [n, 7]."""
        path = self.path / _ANSWERS
        try:
            found: npt.NDArray[np.float32] = np.load(path)
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(path) from error
        return found

    def model(self) -> bytes:
        """Return its LiteRT file."""
        path = self.path / _MODEL
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._damaged(path) from error

    def _damaged(self, file: Path) -> DamagedCacheError:
        return DamagedCacheError(
            f"{file} cannot be read. Delete {self.path} to make that variant again."
        )


def _result(made: Variant) -> VariantFile:
    return VariantFile(
        method=made.method,
        start=made.start,
        epochs=made.epochs,
        feature_map=made.network.feature_map,
        parameters=made.network.whole.count_params(),
        zeros=made.zeros,
        channels=made.channels,
        multiplications=multiplications(made.network.whole),
        engine=made.engine,
        file_bytes=len(made.model),
        compressed_bytes=compressed_bytes(made.model),
    )
