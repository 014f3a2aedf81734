"""Starts the process of a shadow version, asks it, and ends it."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from lentigo_contract.errors import EngineError
from lentigo_contract.imaging.quality import QualityIssue
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_engines.base import Images
from lentigo_inference.audit.records import ModelInUse, Said, Served
from lentigo_inference.errors import ShadowError, VersionRefusedError
from lentigo_inference.settings import Settings

COMMAND: Final = (sys.executable, "-P", "-m", "lentigo_inference.shadow")

_MAX_REPLY_BYTES: Final = 2**20
_SEND_BUFFER_BYTES: Final = 2 * MODEL_SIDE * MODEL_SIDE * 3
_ENDING_S: Final = 2.0

# How long it stands still at most, in seconds: also where there is always some request, it gets
# what nobody else wants of the processors.
_HELD_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Offer:
    """An image that was answered, for the shadow version to answer too.

    Attributes:
        served: what was answered.
        pixels: uint8 [224, 224, 3], as the version in use got them.
        issues: why the image cannot be judged, as far as its pixels show.
        force: whether a decision was asked for in any case.
    """

    served: Served
    pixels: Images
    issues: tuple[QualityIssue, ...]
    force: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a shadow version may take.

    It computes when the machine has nothing else to do, so this is long: whoever waits for it is a
    thread that has nothing else to do either.

    Attributes:
        load_s: for starting and loading, in seconds.
        answer_s: for one image.
    """

    load_s: float = 3600.0
    answer_s: float = 300.0


_PATIENCE: Final = Patience()
_MODEL: Final = TypeAdapter(ModelInUse)
_SAID: Final = TypeAdapter(Said)


class ShadowProcess:
    """A process that answers images with a version.

    One thread uses it; any may `hold`, `release` and `kill` it.
    """

    def __init__(
        self,
        settings: Settings,
        command: Sequence[str] | None = None,
        patience: Patience = _PATIENCE,
    ) -> None:
        """Start the process, which knows nothing yet.

        Args:
            settings: of the service; they name the version.
            command: gets the descriptor of the connection as a last argument; by default
                `COMMAND`.
            patience: how long it may take.

        Raises:
            OSError: it cannot be started.
        """
        self._settings = settings
        self._patience = patience
        ours, theirs = socket.socketpair()
        # An image is sent without waiting also to a process that is held.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    [*(command or COMMAND), str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    # Runtimes write there whatever they like; what matters comes as a message.
                    stderr=subprocess.DEVNULL,
                    # Ctrl+C is for the service, which ends it. A session of its own would be a
                    # group of the scheduler, and yield to nobody as a whole.
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        self._connection = Connection(ours.detach())

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def require_running(self) -> None:
        """Check that the process has not ended.

        Raises:
            ShadowError: it has; the message says how.
        """
        if self._process.poll() is not None:
            raise ShadowError(self._how_it_ended())

    def load(self) -> ModelInUse:
        """Load the version, and return what is on record of it.

        Raises:
            VersionRefusedError: it cannot be used; the message says why.
            ShadowError: the process ended, or took too long.
        """
        reply = self._ask([self._settings.model_dump_json().encode()], self._patience.load_s)
        if "loaded" not in reply:
            raise VersionRefusedError(str(reply.get("failed")))
        try:
            return _MODEL.validate_python(reply["loaded"])
        except ValidationError as error:
            raise ShadowError("Its process did not describe a version.") from error

    def answer(self, offer: Offer) -> Said:
        """Return what the version says of an image.

        Raises:
            EngineError: it cannot answer this one.
            ShadowError: the process ended, or took too long.
        """
        about = json.dumps({"issues": offer.issues, "force": offer.force}).encode()
        reply = self._ask([about, offer.pixels.tobytes()], self._patience.answer_s)
        if "said" not in reply:
            raise EngineError(str(reply.get("failed")))
        try:
            return _SAID.validate_python(reply["said"])
        except ValidationError as error:
            raise ShadowError("Its process did not give an answer.") from error

    def hold(self) -> None:
        """Let the process stand still until it is released, for a second at most."""
        self._process.send_signal(signal.SIGSTOP)

    def release(self) -> None:
        """Let the process go on; it need not be held."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End the process at once, and let go of it."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        self._connection.close()

    def _ask(self, messages: Sequence[bytes], timeout_s: float) -> dict[str, Any]:
        try:
            for message in messages:
                self._connection.send_bytes(message)
            if not self._arrives(timeout_s):
                raise ShadowError(f"Its process gave no answer within {timeout_s:g} seconds.")
            reply = json.loads(self._connection.recv_bytes(_MAX_REPLY_BYTES))
        except (EOFError, OSError) as error:
            raise ShadowError(self._how_it_ended()) from error
        except (ValueError, RecursionError) as error:
            raise ShadowError("Its process did not give an answer.") from error
        if not isinstance(reply, dict):
            raise ShadowError("Its process did not give an answer.")
        return reply

    def _arrives(self, timeout_s: float) -> bool:
        """Wait for a reply, and return whether it came; let go of a process that is held."""
        ends = time.monotonic() + timeout_s
        while (left := ends - time.monotonic()) > 0:
            if self._connection.poll(min(left, _HELD_S)):
                return True
            self.release()
        return False

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            return "Its process broke off the conversation."
        if code >= 0:
            return f"Its process ended with exit code {code}."
        return f"Its process was ended by signal {-code} ({signal.strsignal(-code)})."
