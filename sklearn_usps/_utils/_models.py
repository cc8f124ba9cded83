"""Fitted models inside searches, pipelines, frozen and calibrated estimators."""

import math
from collections.abc import Iterator
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

#: Attributes in which scikit-learn's estimators have others, the fitted ones first.
_PART_NAMES = (
    *("best_estimator_", "estimator_", "estimators_", "calibrated_classifiers_"),
    *("estimator", "estimators", "steps"),
)


def open_model(model, *, calibrated: str = "keep"):
    """Return the transformers (names and steps, without "passthrough") and last step of a model.

    A search stands for its `best_estimator_`, a FrozenEstimator for the estimator in it. An
    unfitted search is its own last step. The last step may be a fitted CalibratedClassifierCV:

    - "keep" returns it. Callers that predict need its probabilities.
    - "single" returns the classifier in it. With one for each fold, it raises a ValueError.
    - "first" returns the classifier of the first fold, for what all folds have in common, such as
      the shape of the images.
    """
    if isinstance(model, FrozenEstimator):
        return open_model(model.estimator, calibrated=calibrated)
    if hasattr(model, "best_estimator_"):
        return open_model(model.best_estimator_, calibrated=calibrated)
    if hasattr(model, "steps"):
        *before, (_, last) = model.steps
        inner, estimator = open_model(last, calibrated=calibrated)
        named = [
            (name, step.estimator if isinstance(step, FrozenEstimator) else step)
            for name, step in before
            if step not in (None, "passthrough")
        ]
        return named + inner, estimator
    if calibrated != "keep" and hasattr(model, "calibrated_classifiers_"):
        folds = [fold.estimator for fold in model.calibrated_classifiers_]
        if calibrated == "single" and len(folds) > 1:
            raise ValueError(
                f"{type(model).__name__} has {len(folds)} classifiers, one for each fold. Set "
                "ensemble=False for a single one, or pass one of them, such as "
                "calibrated_classifiers_[0].estimator."
            )
        return open_model(folds[0], calibrated=calibrated)
    return [], model


def open_convnet(model, display: str):
    """Return transformers and last step, as `open_model`, of a model that ends with a ConvNet."""
    transformers, classifier = open_model(model, calibrated="single")
    if isinstance(classifier, BaseEstimator):
        check_is_fitted(classifier)
    if not hasattr(classifier, "n_parameters_"):
        raise ValueError(
            f"{display} shows a fitted ConvNetClassifier or MultiTaskConvNetClassifier. Got "
            f"{describe(model)} instead.{which_part(model, 'n_parameters_', 'estimator')}"
        )
    return transformers, classifier


def describe(model) -> str:
    """Return what a model is, for messages."""
    if isinstance(model, type):
        return f"the class {model.__name__}"
    if hasattr(model, "steps"):
        steps = ", ".join(type(step).__name__ for _, step in model.steps)
        return f"{type(model).__name__} of {steps}"
    return type(model).__name__


def which_part(model, attribute: str, name: str) -> str:
    """Return a sentence with the part of a model that has an attribute, or an empty text.

    `name` is that of the parameter with the model.
    """
    if isinstance(model, type):
        return " Pass an instance."
    if getattr(model, "refit", True) is False:
        return " Set refit=True in the search."
    path = _find_part(model, attribute)
    return f" Pass a part of it, such as {name}{path}." if path else ""


def _find_part(model, attribute: str, depth: int = 12) -> str | None:
    """Return the code that takes a part with an attribute out of a model; None without one."""
    if hasattr(model, attribute):
        return None if isinstance(model, type) else ""
    for code, part in _parts(model) if depth else ():
        if (path := _find_part(part, attribute, depth - 1)) is not None:
            return code + path
    return None


def _parts(model) -> Iterator[tuple[str, Any]]:
    """Yield the models in a model or a container, and the code that takes them out."""
    if isinstance(model, dict):
        yield from ((f"[{key!r}]", part) for key, part in model.items())
    elif isinstance(model, (list, tuple)):
        yield from ((f"[{i}]", part) for i, part in enumerate(model))
    elif isinstance(model, BaseEstimator) or hasattr(model, "estimator"):
        for name in _PART_NAMES:
            if hasattr(model, name):
                yield f".{name}", getattr(model, name)


def input_image_shape(model, n_features: int | None = None) -> tuple[int, int] | None:
    """Return the shape of the images that a fitted model takes, None if no step knows it.

    A step may change the size of the images, so it is that of the first step whose `image_shape_`
    has `n_features` pixels, by default the `n_features_in_` of the model.
    """
    if n_features is None:
        n_features = getattr(model, "n_features_in_", None)
    transformers, estimator = open_model(model, calibrated="first")
    for step in [*(step for _, step in transformers), estimator]:
        shape = getattr(step, "image_shape_", None)
        if shape is not None and n_features in (None, math.prod(shape)):
            return shape
    return None
