import inspect
import re
from types import ModuleType

import pytest

from lentigo_contract import errors as contract_errors
from lentigo_contract.errors import LentigoError
from lentigo_gateway import errors as gateway_errors
from lentigo_inference import errors as inference_errors
from lentigo_trainer import errors as trainer_errors

MODULES = (contract_errors, trainer_errors, inference_errors, gateway_errors)


def errors_of(module: ModuleType) -> list[type[Exception]]:
    members = inspect.getmembers(module, inspect.isclass)
    return [
        member
        for _, member in members
        if member.__module__ == module.__name__ and issubclass(member, Exception)
    ]


EVERY_ERROR = [error for module in MODULES for error in errors_of(module)]


def drawn_tree(module: ModuleType) -> dict[str, str]:
    """Each error's parent, as the docstring of the module draws it."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in (module.__doc__ or "").splitlines():
        found = re.match(r"^[ │├└─]*(\w+Error)\b", line)
        if found is None:
            continue
        depth = found.start(1)
        name = found[1]
        above[depth] = name
        shallower = [place for place in above if place < depth]
        if shallower:
            parents[name] = above[max(shallower)]
    return parents


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_drawing_shows_every_error_under_its_parent(module: ModuleType) -> None:
    real = {
        error.__name__: error.__bases__[0].__name__
        for error in errors_of(module)
        if error is not LentigoError
    }

    assert drawn_tree(module) == real


@pytest.mark.parametrize(
    "error", EVERY_ERROR, ids=lambda error: f"{error.__module__}.{error.__name__}"
)
def test_every_error_is_one_of_ours_and_says_what_it_means(error: type[Exception]) -> None:
    assert issubclass(error, LentigoError)
    assert error.__doc__


def test_our_errors_never_pass_for_those_of_the_system() -> None:
    # Otherwise an `except OSError` meant for the disk would swallow them.
    assert not any(issubclass(error, OSError | ValueError | RuntimeError) for error in EVERY_ERROR)
