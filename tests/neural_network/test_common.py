"""scikit-learn's own checks, on each network by name."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_usps import ConvNetClassifier

# Two features are an image of one row, which is told each time.
pytestmark = pytest.mark.filterwarnings("ignore:X has .* features, which is no square:UserWarning")


@parametrize_with_checks([ConvNetClassifier(), ConvNetClassifier(network="torch7")])
def test_scikit_learn_compatible(estimator, check):
    check(estimator)
