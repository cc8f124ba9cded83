"""Tests of the pages: extras and files that they name exist."""

import re
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.rst"), *ROOT.glob("docs/guide/*.rst")]
FILE = r"`((?:tests|benchmarks|datasets|networks|training)/[\w/.]+)`"


@pytest.mark.parametrize("extra", metadata("sklearn-usps").get_all("Provides-Extra"))
def test_each_extra_is_documented(extra):
    assert f"* - ``{extra}``" in (ROOT / "docs" / "install.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    names = re.findall(FILE, page.read_text(encoding="utf-8"))
    folders = (ROOT, ROOT / "sklearn_usps")
    assert [name for name in names if not any((f / name).exists() for f in folders)] == []
