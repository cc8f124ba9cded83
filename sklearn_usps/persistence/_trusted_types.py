"""The types that a model file may hold without the argument `trusted`."""

from __future__ import annotations

from sklearn import compose, decomposition, dummy, feature_selection, linear_model, preprocessing
from sklearn.pipeline import FeatureUnion, Pipeline

#: Scikit-learn estimators that a file may hold. Others, such as support vector machines, index
#: memory by values of the file that nothing checks.
_OF_SKLEARN = [
    *(FeatureUnion, Pipeline, compose.ColumnTransformer, decomposition.PCA),
    *(dummy.DummyClassifier, linear_model.LogisticRegression, feature_selection.VarianceThreshold),
    *(preprocessing.Binarizer, preprocessing.FunctionTransformer, preprocessing.MaxAbsScaler),
    *(preprocessing.MinMaxScaler, preprocessing.Normalizer, preprocessing.PowerTransformer),
    *(preprocessing.QuantileTransformer, preprocessing.RobustScaler, preprocessing.StandardScaler),
]
#: Names of these types, of our own, and of a function that a recipe scales its input with.
TRUSTED_TYPES = {
    *(f"{estimator.__module__}.{estimator.__qualname__}" for estimator in _OF_SKLEARN),
    *("sklearn_usps.ConvNetClassifier", "sklearn_usps.MultiTaskConvNetClassifier"),
    *("sklearn_usps.ImageNormalizer", "sklearn_usps.RandomDeformation", "numpy.interp"),
}


def trusted_types() -> list[str]:
    """Return the names of the types that :func:`~sklearn_usps.load_model` trusts.

    Programs that read a file of :func:`~sklearn_usps.save_model` by :func:`skops.io.load`, or by
    the skops format of MLflow, need them as the argument `trusted`. `load_model` needs no such
    list, and checks more: the sizes of arrays before memory is taken, and the format.

    Returns
    -------
    names : list of str
        Full names, sorted: the classifiers, `ImageNormalizer` and `RandomDeformation` of this
        library, `numpy.interp`, and from scikit-learn
        `Pipeline`, `FeatureUnion`, `ColumnTransformer`, `Binarizer`, `FunctionTransformer`,
        `MaxAbsScaler`, `MinMaxScaler`, `Normalizer`, `PowerTransformer`, `QuantileTransformer`,
        `RobustScaler`, `StandardScaler`, `VarianceThreshold`, `PCA`, `LogisticRegression` and
        `DummyClassifier`.

    Examples
    --------
    >>> import os, tempfile
    >>> import skops.io
    >>> from sklearn_usps import ConvNetClassifier, save_model
    >>> from sklearn_usps.persistence import trusted_types
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.skops")
    ...     save_model(ConvNetClassifier(lr=0.001), path)
    ...     skops.io.load(path, trusted=trusted_types())
    ConvNetClassifier(lr=0.001)
    """
    return sorted(TRUSTED_TYPES)
