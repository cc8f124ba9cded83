"""Number of examples of the tests of hostile input.

SKLEARN_USPS_FUZZ_FACTOR multiplies the number of examples, and of the faults in tests/faults. At 1,
the ordinary run, the examples are the same each time; a longer run draws new ones.
"""

from factor import FACTOR
from hypothesis import HealthCheck, settings

settings.register_profile(
    "hostile",
    max_examples=60 * FACTOR,
    derandomize=FACTOR == 1,
    deadline=None,  # no test asserts a time
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("hostile")
