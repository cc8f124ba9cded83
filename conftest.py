"""The device of the tests, and the code blocks of README and docs as tests.

The tests compute on the CPU, where results are the same to the bit, and hide GPUs from themselves
and the processes that they start. With SKLEARN_USPS_TEST_GPU=1 they see them, for tests/gpu.
"""

import os
import tempfile
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser as MarkdownCode
from sybil.parsers.rest import PythonCodeBlockParser as RestCode

HIDES_GPUS = not os.environ.get("SKLEARN_USPS_TEST_GPU")
if HIDES_GPUS:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session", autouse=HIDES_GPUS)
def no_mps():
    """Hides the GPU of a Mac, for which there is no environment variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.backends.mps.is_available", lambda: False)
        yield


# Built pages: collecting the doctests of an example would run it.
collect_ignore = ["docs/_build", "docs/auto_examples", "docs/generated"]


def enter_empty_folder(namespace):
    """Run the blocks of a page in order, in a temporary folder for the files that they write."""
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
