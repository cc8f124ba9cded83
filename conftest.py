"""The code blocks of README and docs are tests: those of a page run one after the other."""

import os
import tempfile
from pathlib import Path

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser as MarkdownCode
from sybil.parsers.rest import PythonCodeBlockParser as RestCode

# What the docs were built into: to collect the doctests of an example means to run it.
collect_ignore = ["docs/_build", "docs/auto_examples", "docs/generated"]


def enter_empty_folder(namespace):
    """What a page writes is thrown away."""
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
