"""Factor of the number of examples, from the environment; see conftest.py."""

import os

FACTOR = int(os.environ.get("SKLEARN_USPS_FUZZ_FACTOR") or 1)
