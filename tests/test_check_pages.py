"""Tests of the link check of the documentation."""

import runpy
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "check_pages.py"
if not shutil.which("linkchecker", path=str(Path(sys.executable).parent)):
    pytest.skip("LinkChecker is not installed", allow_module_level=True)


@pytest.fixture
def folder():
    """A folder that the user "nobody" can read: LinkChecker switches to it when run by root."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("link", "missing"),
    [
        ("#here", None),
        ("other.html", None),
        ("other.html#there", None),
        ("#nowhere", "nowhere"),
        ("other.html#nowhere", "nowhere"),
        ("none.html", "none.html"),
    ],
)
def test_dead_links_and_anchors_are_reported(folder, link, missing):
    page = "<!DOCTYPE html><title>A page</title>"
    (folder / "index.html").write_text(f'{page}<p id="here"><a href="{link}">a link</a>')
    (folder / "other.html").write_text(f'{page}<p id="there">')
    problems = runpy.run_path(str(SCRIPT))["check_links"](folder / "index.html")
    assert bool(problems) == bool(missing)
    assert not missing or missing in problems[0]
