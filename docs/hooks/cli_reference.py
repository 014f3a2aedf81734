"""Write the reference of a command line program from the program itself.

A marker in a page names an installed program. Typer's own `typer MODULE utils docs` describes a
Typer application; of any other program the page shows what `--help` prints.
"""

import importlib
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

MARKER: Final = re.compile(r"<!-- cli: ([\w-]+) -->")
_BIN: Final = Path(sys.executable).parent
# Typer shortens each command's line in this list; the headings below it name them all.
_LIST_OF_COMMANDS: Final = re.compile(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n?")
# A command that has no option but --help.
_NO_OPTIONS: Final = re.compile(r"\*\*Options\*\*:\n\s*(?=##|\Z)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the marker, where a page has it."""
    del page, config, files
    return MARKER.sub(lambda marker: _reference(marker[1]), markdown)


def _reference(program: str) -> str:
    (entry,) = entry_points(group="console_scripts", name=program)
    package = entry.module.partition(".")[0]
    for name in (entry.module, f"{package}.cli"):
        module = importlib.import_module(name)
        if any(isinstance(value, typer.Typer) for value in vars(module).values()):
            return _typer_reference(program, name)
    return _help_reference([program], "##")


def _typer_reference(program: str, module: str) -> str:
    text = _output([str(_BIN / "typer"), module, "utils", "docs", "--name", program])
    text = _LIST_OF_COMMANDS.sub("", text.removeprefix(f"# `{program}`\n"))
    text = text.replace("* `--help`: Show this message and exit.\n", "")
    return _NO_OPTIONS.sub("", text)


def _help_reference(command: list[str], heading: str) -> str:
    text = _output([str(_BIN / command[0]), *command[1:], "--help"])
    reference = f"{heading} `{' '.join(command)}`\n\n```console\n{text.strip()}\n```\n\n"
    # argparse lists the commands of a program indented by four, under its positional arguments.
    listed = text.partition("positional arguments:")[2].partition("\n\n")[0]
    for name in re.findall(r"^ {4}(\w+) ", listed, re.MULTILINE):
        reference += _help_reference([*command, name], heading)
    return reference


def _output(command: list[str]) -> str:
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout
