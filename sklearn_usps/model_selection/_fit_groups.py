"""Fits of a search that can be one stacked fit, and how they are scored one by one."""

from __future__ import annotations

import time
import warnings

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from .._utils._sklearn import _check_method_params, _safe_split
from ..neural_network import ConvNetClassifier
from ..training._batched import BATCHABLE, can_be_batched, fit_batched


def group_tasks(tasks, max_models: int, n_workers: int = 1) -> list[list[int]]:
    """Which tasks, by index, are one stack each; those that can't be stacked are alone.

    Parameters
    ----------
    tasks : list of tuple (function, args, kwargs)
        Calls of scikit-learn's `_fit_and_score`, or of anything else.

    max_models : int
        The most tasks of a stack.

    n_workers : int
        How many stacks there should be at least, where there are as many tasks.
    """
    groups: dict = {}
    for i, task in enumerate(tasks):
        groups.setdefault(_key(task) or i, []).append(i)
    parts = -(-n_workers // max(len(groups), 1))
    stacks = []
    for group in groups.values():
        # As equal as can be: 40 tasks are 20 and 20 where at most 32 are allowed.
        n_stacks = min(max(-(-len(group) // max_models), parts), len(group))
        stacks += [part.tolist() for part in np.array_split(group, n_stacks)]
    return stacks


def is_search_task(task) -> bool:
    """Whether a task is a fit and its scoring in one of scikit-learn's searches."""
    function = getattr(task[0], "function", None)  # of what carries scikit-learn's configuration
    return getattr(function, "__name__", "") == "_fit_and_score"


def _key(task) -> str | None:
    """The same for all tasks that can be in one stack, None for those that can be in none."""
    if not is_search_task(task):
        return None
    _, args, kwargs = task
    try:
        estimator = _candidate(args[0], kwargs["parameters"])
        classifier = _classifier(estimator)
        classifier._validate_params()
        if not can_be_batched(classifier):
            return None
        params = classifier.get_params(deep=False)
        shared = {name: value for name, value in params.items() if name not in BATCHABLE}
        before = estimator.steps[:-1] if isinstance(estimator, Pipeline) else None
        left_out = _classes_of_weight_zero(classifier)
        return joblib.hash([type(estimator), before, shared, left_out, kwargs["train"]])
    except Exception:  # the fit will tell what is wrong
        return None


def _candidate(estimator, parameters):
    return clone(estimator).set_params(**clone(parameters or {}, safe=False))


def _classifier(estimator) -> ConvNetClassifier:
    """The classifier to stack."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if type(last) is not ConvNetClassifier:
        raise TypeError("Only ConvNetClassifier can be stacked.")
    return last


def _classes_of_weight_zero(classifier) -> list:
    weights = classifier.class_weight
    return [label for label, w in weights.items() if w == 0] if isinstance(weights, dict) else []


def run_alone(function, *args, **kwargs) -> list:
    """Run a task that is none of a search's fits."""
    return [function(*args, **kwargs)]


def run_batched(X, y, calls) -> list[dict]:
    """Fit candidates at once and score each; return what `_fit_and_score` does for each.

    Parameters
    ----------
    X, y : array-like
        All samples.

    calls : list of tuple (function, estimator, kwargs)
        Of the tasks of a stack.
    """
    fitted, seconds, error = [None] * len(calls), 0.0, None
    if len(calls) > 1:
        start = time.perf_counter()
        try:
            fitted = _fit_together(X, y, calls)
        except Exception as failure:
            error = failure
        seconds = time.perf_counter() - start
    results = []
    for (function, estimator, kwargs), candidate in zip(calls, fitted, strict=True):
        if candidate is None:
            results.append(function(estimator, X, y, **kwargs))
            continue
        for method in ("set_params", "fit"):
            _skip_once(candidate, method)
        result = function(candidate, X, y, **kwargs)
        results.append({**result, "fit_time": seconds / len(calls)})
    if error is not None and any(result["fit_error"] is None for result in results):
        warnings.warn(
            f"{len(calls)} fits could not be done at once, but one by one: {error}", stacklevel=2
        )
    return results


def _skip_once(estimator, method: str) -> None:
    """Make the next call of a method do nothing: `_fit_and_score` sets parameters and fits."""

    def skip(*args, **params):
        delattr(estimator, method)
        return estimator

    setattr(estimator, method, skip)


def _fit_together(X, y, calls):
    """Fit the candidates of a stack; return them, None where one failed."""
    kwargs = calls[0][2]
    candidates = [_candidate(estimator, kwargs["parameters"]) for _, estimator, kwargs in calls]
    classifiers = [_classifier(candidate) for candidate in candidates]
    together = _BatchedFit(classifiers)
    model = candidates[0]
    if isinstance(model, Pipeline):  # whose transformers are fitted once
        model.steps[-1] = (model.steps[-1][0], together)
    else:
        model = together
    X_train, y_train = _safe_split(classifiers[0], X, y, kwargs["train"])
    fit_params = _check_method_params(X, kwargs["fit_params"] or {}, kwargs["train"])
    model.fit(X_train, y_train, **fit_params)
    for candidate, classifier in zip(candidates, classifiers, strict=True):
        if isinstance(candidate, Pipeline):
            candidate.steps = [*model.steps[:-1], (candidate.steps[-1][0], classifier)]
    fitted = zip(candidates, together.is_fitted_, strict=True)
    return [candidate if is_fitted else None for candidate, is_fitted in fitted]


class _BatchedFit(BaseEstimator):
    """Stands for several classifiers where they are fitted."""

    def __init__(self, classifiers):
        self.classifiers = classifiers

    def fit(self, X, y, **fit_params):
        self.is_fitted_ = fit_batched(self.classifiers, X, y, **fit_params)
        return self

    def get_metadata_routing(self):
        return self.classifiers[0].get_metadata_routing()
