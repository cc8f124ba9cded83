"""Private names of scikit-learn, imported here and nowhere else.

Seen to work with scikit-learn 1.6.0 to 1.9.1; `tests/_utils/test_sklearn.py` imports each of them.
"""

from sklearn.base import _fit_context
from sklearn.preprocessing._data import _is_constant_feature
from sklearn.utils import _safe_indexing
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils._optional_dependencies import check_matplotlib_support, check_pandas_support
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.extmath import _incremental_mean_and_var
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import (
    _check_method_params,
    _check_n_features,
    _check_sample_weight,
    _num_samples,
)

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "_check_method_params",
    "_check_n_features",
    "_check_partial_fit_first_call",
    "_check_sample_weight",
    "_fit_context",
    "_incremental_mean_and_var",
    "_is_constant_feature",
    "_num_samples",
    "_safe_indexing",
    "_safe_split",
    "check_matplotlib_support",
    "check_pandas_support",
    "is_pandas_na",
    "is_scalar_nan",
    "validate_params",
]
