"""Groups of a search's fits: find them, fit each at once, score candidate by candidate."""

from __future__ import annotations

import time
import warnings

import joblib
import numpy as np
from joblib.parallel import get_active_backend, parallel_config
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from .._utils._sklearn import _check_method_params, _safe_split
from ..networks._torch_state import default_state
from ..neural_network import ConvNetClassifier
from ..training._batched import BatchedTrainer, check_batchable
from ..training._config import find_device
from ..training.gpu._cuda import is_cuda
from ..training.optim._second_derivatives import SECOND_DERIVATIVES

#: Parameters of `ConvNetClassifier` that may differ within a group.
BATCHABLE_PARAMS = {
    *("class_weight", "label_smoothing", "lr", "lr_scaling", "lr_schedule", "momentum"),
    *("test_time_augmentation", "verbose", "weight_decay"),
}

#: Networks that train faster one by one: their convolutions on several channels keep a processor
#: busy, and as the grouped convolutions of a batched fit they take up to 1.7 times as long.
_SELF_SUFFICIENT = ("convnet", "lenet5")

#: Words of errors for lack of memory, by torch and the libraries that it uses, in lower case.
_OUT_OF_MEMORY = ("out of memory", "alloc_failed")


def group_tasks(tasks, max_models: int, n_workers: int = 1) -> list[list[int]]:
    """Divide tasks, by their indices, into groups of at most `max_models`: a batched fit each.

    Makes at least `n_workers` groups if the tasks suffice. A task that can't be batched, such as a
    call of another function than scikit-learn's `_fit_and_score`, is a group of its own.
    """
    alike: dict = {}
    for i, task in enumerate(tasks):
        alike.setdefault(_group_key(task) or i, []).append(i)
    n_parts = -(-n_workers // max(len(alike), 1))
    groups = []
    for members in alike.values():
        # Of equal size: 40 tasks make 20 and 20, not 32 and 8, if max_models is 32.
        n_groups = min(max(-(-len(members) // max_models), n_parts), len(members))
        groups += [part.tolist() for part in np.array_split(members, n_groups)]
    return groups


def run_groups(tasks, groups, n_jobs: int | None, *, verbose: int) -> list:
    """Run groups of tasks in parallel, in the current joblib backend.

    Return the result of each task, or None if it is in no group.
    """
    backend, _ = get_active_backend()
    return_as = "generator" if backend.supports_return_generator else "list"
    parallel = Parallel(n_jobs=n_jobs, return_as=return_as)
    outputs = parallel(_make_job([tasks[i] for i in group]) for group in groups)
    results = [None] * len(tasks)
    with tqdm(total=len(tasks), unit="fit", disable=None if verbose else True) as bar:
        for group, output in zip(groups, outputs, strict=True):
            for i, result in zip(group, output, strict=True):
                results[i] = result
            bar.update(len(group))
    return results


def run_in_threads(tasks, n_threads: int, *, verbose: int) -> list:
    """Run the fits of a search in threads, each on a stream of its own; return their results.

    A fit that finds no memory beside the others is run again, alone.
    """
    with parallel_config(backend="threading"):
        results = run_groups(tasks, [[i] for i in range(len(tasks))], n_threads, verbose=verbose)
        errors = [str(result["fit_error"]).lower() for result in results]
        failed = [[i] for i, error in enumerate(errors) if any(w in error for w in _OUT_OF_MEMORY)]
        again = run_groups(tasks, failed, n_jobs=1, verbose=0)
    return [second or first for first, second in zip(results, again, strict=True)]


def are_on_gpu(tasks) -> bool:
    """Return True if all tasks are fits of the classifier on an Nvidia GPU."""
    try:
        candidates = [_make_candidate(args[0], kwargs["parameters"]) for _, args, kwargs in tasks]
        return all(is_cuda(find_device(_get_classifier(each).device)) for each in candidates)
    except Exception:  # the fit of a candidate raises the error that the user sees
        return False


def _make_job(tasks):
    """Make joblib's call for a group of tasks.

    X and y are arguments of the call itself, where backends such as Dask find scattered arrays.
    """
    function, args, kwargs = tasks[0]
    if not _is_search_task(tasks[0]):
        return delayed(_run_other)(function, *args, **kwargs)
    _, X, y = args
    return delayed(_run_group)(X, y, [(f, args[0], kwargs) for f, args, kwargs in tasks])


def can_be_batched(classifier) -> bool:
    """Return True if a classifier can join a batched fit and trains faster there than alone."""
    return (
        classifier.network not in _SELF_SUFFICIENT
        and (isinstance(classifier.network, str) or not hasattr(classifier.network, "loss"))
        and isinstance(classifier.optimizer, str)
        and classifier.lr_scaling != SECOND_DERIVATIVES
        and not classifier.callbacks
        and not classifier.warm_start
        and classifier.max_time is None
        and not is_cuda(find_device(classifier.device))  # which computes several fits at once
        and not isinstance(classifier.random_state, np.random.RandomState)
    )


def fit_batched(classifiers, X, y, **fit_params) -> np.ndarray:
    """Fit classifiers that differ in `BATCHABLE_PARAMS` alone; return a bool array, one for each.

    It is False where the loss became infinite or NaN; these classifiers are not fitted. Each gets
    the initial weights, batches, deformations and dropout masks of a fit on its own with their
    common `random_state`; if that is None, all get those of one random seed.
    """
    seed = classifiers[0].random_state
    if seed is None:
        seed = int(check_random_state(None).randint(np.iinfo(np.int32).max))
    trainers: list = []
    data: list = []
    for classifier in classifiers:
        trainer, subset, valid_subset = classifier._prepare(X, y, random_state=seed, **fit_params)
        if data:  # each call may convert X to a copy of its own: keep the first
            subset.dataset = data[0].dataset
        else:
            valid = valid_subset
        trainers.append(trainer)
        data.append(subset)
    if not isinstance(classifiers[0].network, str):
        check_batchable(trainers[0].module_)
    with default_state(trainers[0].config.device):
        is_fitted = BatchedTrainer(trainers).initialize().train_all(data, valid)
    for i in np.flatnonzero(is_fitted):
        classifiers[i]._set_fitted_attributes(trainers[i])
    return is_fitted


def _is_search_task(task) -> bool:
    """Return True if a task is a fit and its scoring in one of scikit-learn's searches."""
    function = getattr(task[0], "function", None)  # inside the wrapper that carries the config
    return getattr(function, "__name__", "") == "_fit_and_score"


def _group_key(task) -> str | None:
    """Return a key that the tasks of a group have in common, None for a task that stays alone."""
    if not _is_search_task(task):
        return None
    _, args, kwargs = task
    try:
        estimator = _make_candidate(args[0], kwargs["parameters"])
        classifier = _get_classifier(estimator)
        classifier._validate_params()
        if not can_be_batched(classifier):
            return None
        params = classifier.get_params(deep=False)
        common = {name: value for name, value in params.items() if name not in BATCHABLE_PARAMS}
        steps = estimator.steps[:-1] if isinstance(estimator, Pipeline) else None
        weights = classifier.class_weight
        dropped = [c for c, w in weights.items() if w == 0] if isinstance(weights, dict) else []
        return joblib.hash([type(estimator), steps, common, dropped, kwargs["train"]])
    except Exception:  # the fit of this candidate alone raises the error that the user sees
        return None


def _make_candidate(estimator, parameters):
    return clone(estimator).set_params(**clone(parameters or {}, safe=False))


def _get_classifier(estimator) -> ConvNetClassifier:
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if type(last) is not ConvNetClassifier:
        raise TypeError(f"Only ConvNetClassifier can be fitted in a group, not {last!r}.")
    return last


def _run_other(function, *args, **kwargs) -> list:
    """Run a task that is no fit of a search."""
    return [function(*args, **kwargs)]


def _run_group(X, y, calls) -> list[dict]:
    """Fit the candidates of a group together; return the result of `_fit_and_score` for each.

    `calls` are the tasks of the group without X and y: tuples of function, estimator and kwargs.
    """
    fitted, seconds, error = [None] * len(calls), 0.0, None
    if len(calls) > 1:
        start = time.perf_counter()
        try:
            fitted = _fit_candidates(X, y, calls)
        except Exception as failure:
            error = failure
        seconds = (time.perf_counter() - start) / len(calls)
    results = []
    for (function, estimator, kwargs), candidate in zip(calls, fitted, strict=True):
        if candidate is None:
            results.append(function(estimator, X, y, **kwargs))
            continue
        if kwargs["verbose"] > 1:  # the line that `_fit_and_score` prints lacks the parameters
            parameters = sorted((kwargs["parameters"] or {}).items())
            print(", ".join(f"{name}={value}" for name, value in parameters), end=" ")
        # Nothing is left to do for `fit`; a FrozenEstimator accepts no parameters.
        kwargs = {**kwargs, "parameters": None}
        result = function(FrozenEstimator(candidate), X, y, **kwargs)
        results.append({**result, "fit_time": seconds})
    if error is not None and any(result["fit_error"] is None for result in results):
        warnings.warn(
            f"{len(calls)} candidates could not be fitted together and were fitted one by one: "
            f"{error}",
            stacklevel=2,
        )
    return results


def _fit_candidates(X, y, calls):
    """Fit the candidates of a group; return them, None where a fit failed."""
    kwargs = calls[0][2]
    candidates = [_make_candidate(estimator, kw["parameters"]) for _, estimator, kw in calls]
    classifiers = [_get_classifier(candidate) for candidate in candidates]
    batched = _BatchedFit(classifiers)
    model = candidates[0]
    if isinstance(model, Pipeline):  # its transformers are fitted once
        model.steps[-1] = (model.steps[-1][0], batched)
    else:
        model = batched
    X_train, y_train = _safe_split(classifiers[0], X, y, kwargs["train"])
    fit_params = _check_method_params(X, kwargs["fit_params"] or {}, kwargs["train"])
    model.fit(X_train, y_train, **fit_params)
    for candidate, classifier in zip(candidates, classifiers, strict=True):
        if isinstance(candidate, Pipeline):
            candidate.steps = [*model.steps[:-1], (candidate.steps[-1][0], classifier)]
    fitted = zip(candidates, batched.is_fitted_, strict=True)
    return [candidate if is_fitted else None for candidate, is_fitted in fitted]


class _BatchedFit(BaseEstimator):
    """Stand in for the classifiers of a group, at the end of a pipeline, while they are fitted."""

    def __init__(self, classifiers):
        self.classifiers = classifiers

    def fit(self, X, y, **fit_params):
        self.is_fitted_ = fit_batched(self.classifiers, X, y, **fit_params)
        return self

    def get_metadata_routing(self):
        return self.classifiers[0].get_metadata_routing()
