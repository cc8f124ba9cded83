"""Private names of other packages: which exist, and that one module alone imports them."""

import ast
from pathlib import Path

import pytest

import sklearn_usps
from sklearn_usps._utils import _sklearn

FOLDER = Path(sklearn_usps.__file__).parent
NAMES = [name for name in vars(_sklearn) if not name.startswith("__")]
OTHERS = ("sklearn", "skorch", "torch", "skops", "joblib")


def imported_names(path):
    """Yield the dotted names that a module imports from other packages."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", NAMES)
def test_scikit_learn_has_the_name(name):
    assert callable(getattr(_sklearn, name))


def test_each_name_is_needed():
    text = "".join(
        path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py") if path.stem != "_sklearn"
    )
    assert [name for name in NAMES if name not in text] == []


def test_no_other_module_imports_private_names():
    private = {
        f"{path.relative_to(FOLDER)}: {name}"
        for path in FOLDER.rglob("*.py")
        for name in imported_names(path)
        if path.stem != "_sklearn" and name.split(".")[0] in OTHERS and "._" in name
    }
    assert private == set()
