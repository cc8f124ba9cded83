"""Run the code blocks of README and docs as tests, those of a page in their order."""

import os
import tempfile
from pathlib import Path

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser as MarkdownCode
from sybil.parsers.rest import PythonCodeBlockParser as RestCode

# Built pages: collecting the doctests of an example would run it.
collect_ignore = ["docs/_build", "docs/auto_examples", "docs/generated"]


def enter_empty_folder(namespace):
    """Run a page in a temporary folder, which takes the files that it writes."""
    namespace["__before__"], namespace["__folder__"] = Path.cwd(), tempfile.TemporaryDirectory()
    os.chdir(namespace["__folder__"].name)


def leave_folder(namespace):
    os.chdir(namespace["__before__"])
    namespace["__folder__"].cleanup()


folders = {"setup": enter_empty_folder, "teardown": leave_folder}
pages = Sybil([MarkdownCode()], patterns=["README.md"], **folders) + Sybil(
    [RestCode()], patterns=["docs/*.rst", "docs/guide/*.rst"], **folders
)
pytest_collect_file = pages.pytest()
