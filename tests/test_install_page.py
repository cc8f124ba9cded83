"""Test of the installation page."""

from importlib.metadata import metadata
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "install.rst"


@pytest.mark.parametrize("extra", metadata("sklearn-usps").get_all("Provides-Extra"))
def test_each_extra_is_documented(extra):
    assert f"* - ``{extra}``" in PAGE.read_text(encoding="utf-8")
