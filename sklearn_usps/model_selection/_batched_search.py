"""Searches that train many small networks at once."""

from __future__ import annotations

from contextlib import ExitStack
from numbers import Integral
from typing import ClassVar

import numpy as np
from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from .._utils._sklearn import Interval
from ._fit_groups import group_tasks, is_search_task, run_alone, run_batched
from ._joblib_backend import GatheringBackend


class _BatchedSearch:
    """Makes one of scikit-learn's searches run its fits in stacks."""

    max_models: int
    n_jobs: int | None
    verbose: int

    def fit(self, X, y=None, **params):
        """Run fit with all sets of parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training images.

        y : array-like of shape (n_samples,)
            Their class labels.

        **params : dict of str -> object
            As for the search of scikit-learn.

        Returns
        -------
        self : object
            The fitted search.
        """
        with ExitStack() as gathering:

            def run(tasks):
                gathering.close()  # from here on, refit too, joblib is as the user has it
                return self._run_tasks(tasks)

            # A backend instead of a copy of scikit-learn's fit, which changes with its releases.
            gathering.enter_context(parallel_config(backend=GatheringBackend(run)))
            return super().fit(X, y, **params)  # type: ignore[misc]  # the search's

    def _run_tasks(self, tasks):
        """Run tasks in stacks; return their results in the order of the tasks."""
        groups = group_tasks(tasks, self.max_models, effective_n_jobs(self.n_jobs))
        backend, _ = get_active_backend()
        return_as = "generator" if backend.supports_return_generator else "list"
        parallel = Parallel(n_jobs=self.n_jobs, return_as=return_as)
        stacks = parallel(_job([tasks[i] for i in group]) for group in groups)
        results = [None] * len(tasks)
        with tqdm(total=len(tasks), unit="fit", disable=None if self.verbose else True) as bar:
            for group, stack in zip(groups, stacks, strict=True):
                for i, result in zip(group, stack, strict=True):
                    results[i] = result
                bar.update(len(group))
        return results


class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
    """Grid search in which candidates that allow it are trained at once.

    The result is that of :class:`~sklearn.model_selection.GridSearchCV`, to rounding, in a
    fraction of the time where networks are small. Fits of
    :class:`~sklearn_usps.ConvNetClassifier`, alone or as the last step of a
    :class:`~sklearn.pipeline.Pipeline`, are one stack where they are on the same fold and differ
    only in `lr`, `momentum`, `weight_decay`, `label_smoothing`, `class_weight`, `lr_schedule`,
    `lr_scaling` or `test_time_augmentation`. The networks of a stack see the same images in the
    same order, as they do one by one where `random_state` is an int; transformers before them are fitted once
    for all. Whatever can't be stacked is fitted one by one: other estimators, optimizers
    other than "adamw" and "sgd", classifiers with callbacks, `warm_start`, a RandomState
    instance or a augmentation that can't be pickled, the networks "convnet" and "lenet5", which are
    faster one by one, and networks of one's own that have a `loss` of their own, parameters that
    are not trained or buffers outside of torch's layers.

    Parameters
    ----------
    estimator : estimator object
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    param_grid : dict or list of dictionaries
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    scoring : str, callable, list, tuple or dict, default=None
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    n_jobs : int, default=None
        Number of stacks to run in parallel, in joblib's backend of the moment. Stacks are made
        smaller where there would be fewer.

    refit : bool, str, or callable, default=True
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    cv : int, cross-validation generator or an iterable, default=None
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    verbose : int, default=0
        As for :class:`~sklearn.model_selection.GridSearchCV`, with a progress bar where standard
        error is a terminal. The time printed for a fit is that of its scoring.

    pre_dispatch : int, or str, default='2*n_jobs'
        Of no use here, where all fits are handed over at once; a small int makes small stacks.

    error_score : 'raise' or numeric, default=np.nan
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    return_train_score : bool, default=False
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    max_models : int, default=32
        The most networks to train at once. More take more memory, and hardly less time.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As of :class:`~sklearn.model_selection.GridSearchCV`. The fit time of a network is that of
        its stack, divided by the number of networks in it.

    best_estimator_ : estimator
        As of :class:`~sklearn.model_selection.GridSearchCV`, as are all other attributes.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The search that this is one of.

    Notes
    -----
    One model of the networks' operations serves all of a stack, by :func:`torch.func.vmap`. A
    classifier's `verbose` has no effect in a stack, and the `net_.history` that a scorer may look
    at has no records of batches and of what was best; `history_` is complete.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier, BatchedGridSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = ConvNetClassifier(network="luacnn", max_epochs=5, random_state=0)
    >>> search = BatchedGridSearchCV(classifier, {"lr": [1e-5, 0.03]}, cv=3).fit(X / 16, y)
    >>> search.best_params_
    {'lr': 0.03}
    """

    _parameter_constraints: ClassVar[dict] = {
        **GridSearchCV._parameter_constraints,
        "max_models": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
        max_models=32,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_models = max_models


class BatchedRandomizedSearchCV(_BatchedSearch, RandomizedSearchCV):
    """Randomized search in which candidates that allow it are trained at once.

    A :class:`~sklearn.model_selection.RandomizedSearchCV` that does with its candidates what
    :class:`BatchedGridSearchCV` does.

    Parameters
    ----------
    estimator : estimator object
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    param_distributions : dict or list of dicts
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    n_iter : int, default=10
        Number of candidates.

    scoring : str, callable, list, tuple or dict, default=None
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    n_jobs : int, default=None
        Number of stacks to run in parallel, in joblib's backend of the moment.

    refit : bool, str, or callable, default=True
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    cv : int, cross-validation generator or an iterable, default=None
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    verbose : int, default=0
        As for :class:`BatchedGridSearchCV`.

    pre_dispatch : int, or str, default='2*n_jobs'
        As for :class:`BatchedGridSearchCV`.

    random_state : int, RandomState instance or None, default=None
        Draws the candidates.

    error_score : 'raise' or numeric, default=np.nan
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    return_train_score : bool, default=False
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    max_models : int, default=32
        The most networks to train at once. More take more memory, and hardly less time.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As of :class:`BatchedGridSearchCV`.

    best_estimator_ : estimator
        As of :class:`~sklearn.model_selection.RandomizedSearchCV`, as are all other attributes.

    See Also
    --------
    BatchedGridSearchCV : Tries all of a grid.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier, BatchedRandomizedSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = ConvNetClassifier(network="luacnn", max_epochs=5, random_state=0)
    >>> search = BatchedRandomizedSearchCV(
    ...     classifier, {"lr": loguniform(1e-5, 0.1)}, n_iter=8, cv=3, random_state=0
    ... ).fit(X / 16, y)
    >>> len(search.cv_results_["params"])
    8
    """

    _parameter_constraints: ClassVar[dict] = {
        **RandomizedSearchCV._parameter_constraints,
        "max_models": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=10,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        max_models=32,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_models = max_models


def _job(tasks):
    """What runs the tasks of a group, with the images on their own for backends that know them."""
    function, args, kwargs = tasks[0]
    if not is_search_task(tasks[0]):
        return delayed(run_alone)(function, *args, **kwargs)
    _, X, y = args
    return delayed(run_batched)(X, y, [(f, args[0], kwargs) for f, args, kwargs in tasks])
