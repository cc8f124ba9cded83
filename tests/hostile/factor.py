"""How much longer than ordinary the run is, from the environment; see conftest.py."""

import os

FACTOR = int(os.environ.get("SKLEARN_USPS_FUZZ_FACTOR") or 1)
