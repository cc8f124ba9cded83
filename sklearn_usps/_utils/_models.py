"""Fitted models inside searches, pipelines, frozen and calibrated estimators."""

from __future__ import annotations

import math

from sklearn.frozen import FrozenEstimator


def open_model(model, *, calibrated: str = "keep"):
    """Split a model into its transformers and its last estimator.

    A search stands for its `best_estimator_`, a FrozenEstimator for the estimator in it. An
    unfitted search is its own last estimator.

    Parameters
    ----------
    model : estimator
        The model, fitted or not.

    calibrated : {"keep", "single", "first"}, default="keep"
        Treatment of a fitted CalibratedClassifierCV:

        - "keep": it is the last estimator. Callers that predict need its probabilities.
        - "single": the classifier in it, if it has one. With one for each fold, a ValueError.
        - "first": the classifier of the first fold, for what all folds have in common, such as
          the shape of the images.

    Returns
    -------
    transformers : list of (str, transformer)
        Names and steps before the last one, without "passthrough".

    estimator : estimator
        The last step.
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
