"""Child processes that a test kills, interrupts or limits."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def start():
    """Start Python on code that knows `path`; children that still run at the end are killed."""
    children = []

    def start(code, path, **options):
        before = f"import os, sys\nfrom pathlib import Path\npath = Path({str(path)!r})\n"
        child = subprocess.Popen(
            [sys.executable, "-c", before + code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            **options,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
