"""The structure of the package: imports go down a floor, folders and modules stay small."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import sklearn_usps

FOLDER = Path(sklearn_usps.__file__).parent
MODULES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.py"))
ROOMS = [
    ["__version__"],
    ["_utils"],
    ["datasets", "networks", "preprocessing"],
    ["training"],
    ["neural_network"],
    ["persistence", "model_selection", "inspection"],
    ["recipes", "draw"],
    ["_cli"],
    ["__main__", "__init__"],
]
FLOORS = {room: floor for floor, rooms in enumerate(ROOMS, -1) for room in rooms}
PUBLIC_NAMES = 5  # the floor of names imported from the package itself
MAX_LINES = {"_classifier.py": 500, "_multitask.py": 450}  # mostly docstrings
QUESTION_WORDS = {"What", "Which", "How", "Whether", "Where", "Who", "Why"}


def parse(module):
    return ast.parse((FOLDER / module).read_text(encoding="utf-8"))


def imported_rooms(module):
    """Yield the folder or top-level name of each import from the package, lazy ones included."""
    path = ("sklearn_usps", *module.parts)
    for node in ast.walk(parse(module)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = path[: len(path) - node.level] if node.level else ()
            stem = (*stem, *(node.module.split(".") if node.module else ()))
            names = [(*stem, alias.name) for alias in node.names]
        yield from ((*name, "")[1] for name in names if name[0] == "sklearn_usps")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_go_down(module):
    room = module.parts[0].removesuffix(".py")
    others = set(imported_rooms(module)) - {room}
    upward = {other for other in others if FLOORS.get(other, PUBLIC_NAMES) >= FLOORS[room]}
    assert upward == set()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_is_short(module):
    n_lines = len((FOLDER / module).read_text(encoding="utf-8").splitlines())
    assert n_lines <= MAX_LINES.get(module.name, 400)


def test_folders_have_at_most_nine_modules():
    n_modules = Counter(module.parent for module in MODULES if module.name != "__init__.py")
    assert {folder: n for folder, n in n_modules.items() if n > 9} == {}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_docstring_begins_with_a_question_word(module):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(parse(module)) if isinstance(node, documented)]
    docstrings = [ast.get_docstring(node) for node in nodes]
    assert [text for text in docstrings if text and text.split()[0] in QUESTION_WORDS] == []
