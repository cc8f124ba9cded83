"""The steps that all fetchers share: their parameters, the cache folder and the Bunch."""

import os
from importlib import resources
from numbers import Integral, Real
from os import PathLike
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._utils._sklearn import Interval, check_pandas_support

#: Constraints on the parameters that all fetchers have, for `validate_params`.
FETCHER_CONSTRAINTS: dict[str, list] = {
    "data_home": [str, PathLike, None],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "download_if_missing": ["boolean"],
    "return_X_y": ["boolean"],
    "as_frame": ["boolean"],
    "n_retries": [Interval(Integral, 0, None, closed="left")],
    "delay": [Interval(Real, 0.0, None, closed="left")],
    "progressbar": ["boolean"],
}


def cache_folder(data_home: str | PathLike | None, name: str) -> Path:
    """Return the subfolder `name` of scikit-learn's data folder.

    Unlike `sklearn.datasets.get_data_home`, this creates nothing and works on a read-only disk.
    """
    if data_home is None:
        data_home = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")
    return Path(os.path.expanduser(data_home), name)  # noqa: PTH111 (Path's raises without a home)


def row_order(n_samples: int, shuffle: bool, random_state) -> np.ndarray | slice:
    """Return the index that puts the rows into the order in which a fetcher returns them."""
    return check_random_state(random_state).permutation(n_samples) if shuffle else slice(None)


def make_result(images, target, target_names, descr, *, return_X_y, as_frame, **attributes):
    """Return the Bunch of a fetcher, with further `attributes`, or `(data, target)`.

    `images` has the shape (n_samples, height, width); `descr` names a file in the folder `descr`.
    """
    n_samples, height, width = images.shape
    names = [f"pixel_{row}_{column}" for row in range(height) for column in range(width)]
    data, frame = images.reshape(n_samples, height * width), None
    if as_frame:
        pandas = check_pandas_support("A fetcher with as_frame=True")
        data = pandas.DataFrame(data, columns=names)
        target = pandas.Series(target, name="target")
        frame = pandas.concat([data, target], axis=1)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        images=images,
        target=target,
        target_names=target_names,
        feature_names=names,
        frame=frame,
        DESCR=(resources.files(__package__) / "descr" / descr).read_text("utf-8"),
        **attributes,
    )
