"""Fuzz what reads bytes from outside, led by coverage.

    python -m fuzz [images multipart manifest infer] [--minutes 60]

Each target runs in a process of its own under atheris, which is libFuzzer for Python. The corpus
grows in `work/fuzz/<target>`, from seeds that the target makes; an input that fails is written
beside it, as `work/fuzz/<target>-crash-...`. Exit code 1 if any was found. To try it again:

    python -m fuzz images --input work/fuzz/images-crash-...
"""

import argparse
import hashlib
import importlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol, cast

TARGETS: Final = ("images", "multipart", "manifest", "infer")

# What is instrumented; nothing of it may be imported before.
_INSTRUMENTED: Final = ["lentigo_contract", "lentigo_inference", "PIL", "python_multipart"]

# One input may take so long, and the process so much memory, before it counts as a finding.
_SECONDS: Final = 120
_MIB: Final = 2048


class Target(Protocol):
    """A module of this folder.

    Attributes:
        MAX_BYTES: of an input.
        seeds: the first inputs, which are accepted or nearly so.
        check: reads an input; raises if it is not treated as it should be.
    """

    MAX_BYTES: int
    seeds: Callable[[], Iterator[bytes]]
    check: Callable[[bytes], None]


def target(name: str) -> Target:
    """Import a target."""
    return cast(Target, importlib.import_module(f"fuzz.{name}"))


def main() -> int:
    """Parse, and fuzz one target after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="by default all")
    parser.add_argument("--minutes", type=float, default=60.0, help="of each target")
    parser.add_argument("--work", type=Path, default=Path("work/fuzz"), help="for the corpora")
    parser.add_argument("--input", type=Path, help="only try this file on the one target")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.targets or TARGETS
    if arguments.input:
        for name in names:
            target(name).check(arguments.input.read_bytes())
        return 0
    if arguments.here:
        return fuzz(names[0], arguments.minutes, arguments.work)
    found = [name for name in names if _in_a_process(name, arguments.minutes, arguments.work)]
    sys.stdout.write(f"findings in: {', '.join(found) or 'none'}\n")
    return int(bool(found))


def _in_a_process(name: str, minutes: float, work: Path) -> int:
    command = [sys.executable, "-m", "fuzz", name, "--here"]
    options = ["--minutes", str(minutes), "--work", str(work)]
    return subprocess.run([*command, *options], check=False).returncode


def fuzz(name: str, minutes: float, work: Path) -> int:
    """Fuzz a target in this process, which ends with it."""
    import atheris  # noqa: PLC0415 - not installed where nobody fuzzes

    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        tried = target(name)
    # Parsers warn of nearly every input.
    logging.disable()
    corpus = work / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in tried.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = {
        "max_total_time": round(60 * minutes),
        "max_len": tried.MAX_BYTES,
        "timeout": _SECONDS,
        "rss_limit_mb": _MIB,
        "artifact_prefix": f"{corpus}-",
        "print_final_stats": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], tried.check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
