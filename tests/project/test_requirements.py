"""What the distributions declare, and what the pinned files hold."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lentigo_contract
import lentigo_gateway
import lentigo_inference
import lentigo_trainer

ROOT = Path(__file__).parents[2]
PINNED = sorted((ROOT / "requirements").glob("*.txt"))
PYPROJECTS = [
    ROOT / "shared/pyproject.toml",
    ROOT / "services/trainer/pyproject.toml",
    ROOT / "services/inference/pyproject.toml",
    ROOT / "services/gateway/pyproject.toml",
]
OURS = {tomllib.loads(each.read_text())["project"]["name"] for each in PYPROJECTS}
"""Our own distributions, which are installed from this repository."""

ENVIRONMENTS = [
    {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.0",
        "sys_platform": platform,
        "platform_system": platform.capitalize(),
        "platform_machine": machine,
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for minor in (11, 12, 13)
    for platform in ("linux", "darwin")
    for machine in ("x86_64", "aarch64" if platform == "linux" else "arm64")
]
"""Those that the project supports; markers ask for no more."""


def pins(file: Path) -> set[str]:
    """Each pinned package with its version and marker, as it stands in the file."""
    return set(
        re.findall(r"^([A-Za-z0-9][^\\\n]*==[^\\\n]*?) *\\?$", file.read_text(), re.MULTILINE)
    )


def versions(
    requirements: Iterable[Requirement], environment: dict[str, str]
) -> set[tuple[str, str]]:
    """Each package with its version, of those that an environment installs."""
    return {
        (each.name, str(each.specifier))
        for each in requirements
        if each.marker is None or each.marker.evaluate(environment)
    }


def declarations(pyproject: Path) -> list[Requirement]:
    """What a distribution depends on, its extras included."""
    project = tomllib.loads(pyproject.read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    return [Requirement(text) for group in (project["dependencies"], *extras) for text in group]


def our_packages() -> dict[str, str]:
    """Our import packages, and the distribution that each is in."""
    return {
        package.name: tomllib.loads(pyproject.read_text())["project"]["name"]
        for pyproject in PYPROJECTS
        for package in (pyproject.parent / "src").iterdir()
    }


def imported_packages(module: Path) -> set[str]:
    """The packages outside the standard library that a module imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names


@pytest.mark.parametrize(
    "file",
    [*PINNED, *PYPROJECTS, ROOT / "pyproject.toml"],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_no_requirement_names_an_address_or_a_path(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    assert re.search(r"(index-url|find-links|trusted-host)", text) is None
    assert re.search(r"(?:^|[\s\"'@(])/\w", text) is None


@pytest.mark.parametrize("file", PINNED, ids=lambda file: file.name)
def test_every_pin_has_a_hash(file: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", file.read_text())[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    "name", ["build.txt", "gateway.txt", "inference.txt", "inference-full.txt", "trainer.txt"]
)
def test_one_environment_satisfies_every_pinned_file(name: str) -> None:
    installed = [Requirement(pin) for pin in pins(ROOT / "requirements/dev.txt")]
    wanted = [Requirement(pin) for pin in pins(ROOT / "requirements" / name)]
    for environment in ENVIRONMENTS:
        missing = versions(wanted, environment) - versions(installed, environment)
        assert missing == set(), environment


@pytest.mark.parametrize("pyproject", PYPROJECTS, ids=lambda file: file.parent.name)
def test_the_pins_satisfy_what_each_distribution_declares(pyproject: Path) -> None:
    pinned: dict[str, list[str]] = {}
    for pin in pins(ROOT / "requirements/dev.txt"):
        name, version = pin.partition(";")[0].strip().split("==")
        pinned.setdefault(canonicalize_name(name), []).append(version)
    for requirement in declarations(pyproject):
        if requirement.name in OURS:
            continue
        versions = pinned.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement} is not pinned: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.parametrize("pyproject", PYPROJECTS, ids=lambda file: file.parent.name)
def test_each_distribution_declares_what_it_imports(pyproject: Path) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in declarations(pyproject)}
    providers = {
        **packages_distributions(),
        **{package: [distribution] for package, distribution in our_packages().items()},
    }
    undeclared = {
        name
        for module in (pyproject.parent / "src").rglob("*.py")
        for name in imported_packages(module)
        if not declared & {canonicalize_name(each) for each in (name, *providers.get(name, []))}
    }
    assert undeclared <= {path.name for path in (pyproject.parent / "src").iterdir()}


def test_the_four_distributions_carry_one_version() -> None:
    versions = {
        lentigo_contract.__version__,
        lentigo_trainer.__version__,
        lentigo_inference.__version__,
        lentigo_gateway.__version__,
    }
    assert len(versions) == 1
