"""Searches that train many small networks at once."""

from __future__ import annotations

from contextlib import ExitStack
from numbers import Integral
from typing import ClassVar

import numpy as np
from joblib import effective_n_jobs, parallel_config
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from .._utils._sklearn import Interval
from ..training.gpu._cuda import MAX_STREAMS
from ._fit_groups import are_on_gpu, group_tasks, run_groups, run_in_threads
from ._joblib_backend import GatheringBackend

_MAX_MODELS = {"max_models": [Interval(Integral, 1, None, closed="left")]}


class _BatchedSearch:
    """Mixin that makes one of scikit-learn's searches fit its candidates in groups."""

    max_models: int
    n_jobs: int | None
    verbose: int

    def fit(self, X, y=None, **params):
        """Run fit with all sets of parameters, and return the fitted search.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The training images.

        y : array-like of shape (n_samples,)
            Their class labels.

        **params : dict of str -> object
            As for the search of scikit-learn.
        """
        with ExitStack() as gathering:

            def run(tasks):
                gathering.close()  # the fits, and the refit, run in the user's joblib backend
                return self._run_tasks(tasks)

            # A backend instead of a copy of scikit-learn's fit, which changes with its releases.
            gathering.enter_context(parallel_config(backend=GatheringBackend(run)))
            return super().fit(X, y, **params)  # type: ignore[misc]  # the search's

    def _run_tasks(self, tasks):
        """Run tasks in groups or, on a GPU, in threads; return their results in their order."""
        n_workers = effective_n_jobs(self.n_jobs)
        if n_workers == 1 and are_on_gpu(tasks):
            n_threads = min(self.max_models, MAX_STREAMS)
            return run_in_threads(tasks, n_threads, verbose=self.verbose)
        groups = group_tasks(tasks, self.max_models, n_workers)
        return run_groups(tasks, groups, self.n_jobs, verbose=self.verbose)


class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
    """Grid search that trains candidates together in groups.

    The results are those of :class:`~sklearn.model_selection.GridSearchCV`, up to rounding, in
    a fraction of the time if networks are small. A group consists of candidates that are a
    :class:`~sklearn_usps.ConvNetClassifier`, or a :class:`~sklearn.pipeline.Pipeline` that ends in
    one, are fitted to the same fold and differ only in `lr`, `momentum`, `weight_decay`,
    `label_smoothing`, `class_weight`, `lr_schedule`, `lr_scaling` or `test_time_augmentation`.
    Transformers are fitted once a group. The networks of a group see the same images in the same
    order, as they do one by one if `random_state` is an int.

    On an Nvidia GPU, where groups are no faster, up to ten candidates are fitted at the same time.
    All other candidates are fitted one by one:

    - estimators of other classes, and the networks "convnet" and "lenet5", which train faster
      individually;
    - your own networks with a method `loss`, parameters that are not trained or buffers outside of
      torch's layers;
    - classifiers with `callbacks`, `warm_start`, `max_time`, ``lr_scaling="second-derivatives"``, a
      class as `optimizer`, a RandomState instance as `random_state` or an `augmentation` that can't
      be pickled.

    Parameters
    ----------
    estimator, param_grid, refit, cv, error_score, return_train_score
        As for :class:`~sklearn.model_selection.GridSearchCV`.

    scoring : str, callable, list, tuple or dict, default=None
        As for :class:`~sklearn.model_selection.GridSearchCV`. A callable gets each candidate of a
        group in a :class:`~sklearn.frozen.FrozenEstimator`, which ignores `fit` and refuses
        `set_params`; its attribute `estimator` is the candidate.

    n_jobs : int, default=None
        Number of groups to run in parallel, in the current joblib backend. Groups are made
        smaller if there would be fewer than workers.

    verbose : int, default=0
        As for :class:`~sklearn.model_selection.GridSearchCV`, with a progress bar if standard
        error is a terminal. For candidates of a group, the parameters stand at the beginning of
        the line, and the time is that of the scoring.

    pre_dispatch : int, or str, default='2*n_jobs'
        An int limits the number of fits that are divided into groups at a time, so a small one
        makes small groups. Other values have no effect.

    max_models : int, default=32
        Largest number of networks in a group, or of fits at the same time on a GPU, at least 1.
        Larger groups take more memory and hardly less time.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As for :class:`~sklearn.model_selection.GridSearchCV`. The fit time of a candidate is that
        of its group, divided by the number of candidates in it.

    best_estimator_ : estimator
        As for :class:`~sklearn.model_selection.GridSearchCV`, like all other attributes.

    See Also
    --------
    BatchedRandomizedSearchCV : Tries candidates drawn at random.
    sklearn.model_selection.GridSearchCV : Fits every candidate alone.

    Notes
    -----
    :func:`torch.func.vmap` computes each operation once for all networks of a group. Within a
    group, a classifier's `verbose` has no effect, and its `net_.history` lacks the rows of batches
    and the marks of the best epoch; `history_` is complete.

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

    __module__ = "sklearn_usps"  # pickles name the public module

    _parameter_constraints: ClassVar[dict] = GridSearchCV._parameter_constraints | _MAX_MODELS

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
    """Randomized search that trains candidates together in groups.

    The results are those of :class:`~sklearn.model_selection.RandomizedSearchCV`, up to rounding.
    :class:`BatchedGridSearchCV` describes the groups.

    Parameters
    ----------
    estimator, param_distributions, n_iter, refit, cv, random_state, error_score, return_train_score
        As for :class:`~sklearn.model_selection.RandomizedSearchCV`.

    scoring, n_jobs, verbose, pre_dispatch, max_models
        As for :class:`BatchedGridSearchCV`.

    Attributes
    ----------
    cv_results_, best_estimator_
        As for :class:`BatchedGridSearchCV`.

    See Also
    --------
    BatchedGridSearchCV : Tries all candidates of a grid.
    sklearn.model_selection.RandomizedSearchCV : Fits every candidate alone.

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

    __module__ = "sklearn_usps"  # pickles name the public module

    _parameter_constraints: ClassVar[dict] = RandomizedSearchCV._parameter_constraints | _MAX_MODELS

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
