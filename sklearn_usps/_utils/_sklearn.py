"""Private names of scikit-learn, imported here and nowhere else in the package.

scikit-learn 1.6.0, 1.7.0, 1.8.0 and 1.9.1 have each of them in the module named below, with the
arguments that we pass, and no public name for any.

- `HasMethods`, `Interval`, `StrOptions`, `_fit_context`, `validate_params`: validation of
  parameters, with the messages of scikit-learn's estimators and functions.
- `check_matplotlib_support`, `check_pandas_support`: import errors that name the caller.
- `_check_n_features`: the width of X without a look at its values.
- `_check_sample_weight`, `_num_samples`, `_safe_indexing`, `is_pandas_na`, `is_scalar_nan`: sample
  weights; lengths, rows and missing values of arrays, data frames and lists.
- `_check_partial_fit_first_call`: the rules for `classes` in calls of partial_fit.
- `_incremental_mean_and_var`, `_is_constant_feature`: mean and variance as of StandardScaler.
- `_check_method_params`, `_safe_split`: fit parameters and samples of a fold, as in searches.

`model_selection/_fit_groups.py` recognizes one more function, `_fit_and_score`, by its name.
"""
# ruff: noqa: F401

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
