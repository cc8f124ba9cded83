"""The Binary Alphadigits: handwritten digits and capital letters."""

import math
import string
from importlib import resources
from numbers import Integral, Real
from os import PathLike

import numpy as np
from PIL import Image
from sklearn.utils import Bunch, check_random_state

from .._utils._images import check_two_sizes
from .._utils._sklearn import Interval, StrOptions, check_pandas_support, validate_params
from ._fetch import RemoteFile, fetch_file
from ._mirrors import HttpMirror
from ._parsing import read_mat, reading
from ._usps import cache_folder, to_pandas

ALPHADIGITS = RemoteFile(
    name="binaryalphadigs.mat",
    sha256="13a5b25f26f75564bfa2de1d776e994ffb0e5923930def10f1d9e84ee7f907c4",
    size=65_445,
    mirrors=(
        HttpMirror(
            "https://raw.githubusercontent.com/ma-xu/L21FS/"
            "b9d4e8eb7f6d7b5ccc62f9e638bdaef798b62e5e/data/binaryalphadigs.mat"
        ),
    ),
)

CLASSES = {
    "digits": string.digits,
    "letters": string.ascii_uppercase,
    "all": string.digits + string.ascii_uppercase,
}
#: Height and width of the images in the file.
_SHAPE = (20, 16)


@validate_params(
    {
        "subset": [StrOptions(set(CLASSES))],
        "drop_o": ["boolean"],
        "image_shape": [tuple, list],
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
def fetch_alphadigits(
    *,
    subset="letters",
    drop_o=False,
    image_shape=_SHAPE,
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
    """Load the Binary Alphadigits, handwritten digits and capital letters (classification).

    Download them if necessary.

    =================   ==========================================
    Classes                   26 letters, 10 digits or both, as str
    Samples per class                                           39
    Dimensionality                                    320 (20 × 16)
    Features                                                0 or 1
    =================   ==========================================

    Parameters
    ----------
    subset : {"letters", "digits", "all"}, default="letters"
        Which classes to load: "A" to "Z", "0" to "9", or first the digits and then the letters.

    drop_o : bool, default=False
        Whether to leave out the letter "O". Its images in this file are those of the digit "0",
        pixel by pixel, so that nothing can tell the two apart.

    image_shape : tuple of int (height, width), default=(20, 16)
        Shape of the images. Where it is another than that of the file, they are resized with
        antialiasing, and their pixels are between 0 and 1.

    data_home : str or path-like, default=None
        Folder of scikit-learn's data; the file goes into its subfolder `alphadigits`. By default
        that of :func:`sklearn.datasets.get_data_home`.

    shuffle : bool, default=False
        Whether to shuffle the samples, which are sorted by class.

    random_state : int, RandomState instance or None, default=0
        Determines the order if `shuffle`.

    download_if_missing : bool, default=True
        If False, raise an OSError if the file is not there instead of downloading it.

    return_X_y : bool, default=False
        If True, returns `(data, target)` instead of a `Bunch` object.

    as_frame : bool, default=False
        If True, the data is a pandas DataFrame with a column for each pixel and the target is
        a pandas Series; `frame` then has both.

    n_retries : int, default=3
        Number of retries when network errors are encountered.

    delay : float, default=1.0
        Number of seconds before the first retry; it doubles from one retry to the next.

    progressbar : bool, default=True
        Whether to show a progress bar on stderr for a download that takes more than a second.
        It is shown on terminals only.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_samples, height * width), dtype float32
            Each row is an image, row by row; 0 is background, 1 is ink. A pandas DataFrame if
            `as_frame=True`.
        images : ndarray of shape (n_samples, height, width), dtype float32
            The same values as pictures.
        target : ndarray of shape (n_samples,), dtype str
            The characters. A pandas Series if `as_frame=True`.
        target_names : list of str
            The names of the classes.
        feature_names : list of str
            The names of the columns, such as "pixel_0_0" (row, column).
        frame : DataFrame of shape (n_samples, height * width + 1) or None
            Only present when `as_frame=True`: `data` and `target` in one.
        DESCR : str
            The full description of the dataset.

    (data, target) : tuple if `return_X_y` is True
        The two attributes above.

    Raises
    ------
    OSError
        If the file is not there, whole, and can't or may not be downloaded.

    See Also
    --------
    fetch_usps : More digits.
    make_letters : Letters without a network.

    Examples
    --------
    >>> from sklearn_usps import fetch_alphadigits
    >>> letters = fetch_alphadigits(image_shape=(16, 16))  # doctest: +SKIP
    >>> letters.data.shape  # doctest: +SKIP
    (1014, 256)
    """
    shape = check_two_sizes(image_shape, "image_shape", "(height, width)")
    if as_frame:
        check_pandas_support("fetch_alphadigits with as_frame=True")
    folder = cache_folder(data_home, "alphadigits")

    def fetch(remote):
        return fetch_file(
            remote,
            folder,
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            delay=delay,
            progressbar=progressbar,
        )

    classes = CLASSES[subset].replace("O", "") if drop_o else CLASSES[subset]
    images, target = _load(classes, fetch)
    if shape != _SHAPE:
        images = np.stack([_resize(image, shape) for image in images])
    if shuffle:
        order = check_random_state(random_state).permutation(len(target))
        images, target = images[order], target[order]

    names = [f"pixel_{row}_{column}" for row in range(shape[0]) for column in range(shape[1])]
    data, frame = images.reshape(len(images), -1), None
    if as_frame:
        data, target, frame = to_pandas(data, target, names)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        images=images,
        target=target,
        target_names=list(classes),
        feature_names=names,
        frame=frame,
        DESCR=resources.files(__package__).joinpath("descr/alphadigits.rst").read_text("utf-8"),
    )


def _load(classes, fetch):
    """Return the images of some classes, (n, 20, 16) float32 in {0, 1}, and their characters."""
    images, target = parse_alphadigits(fetch(ALPHADIGITS))
    rows = np.concatenate([np.flatnonzero(target == name) for name in classes])
    return images[rows], target[rows]


def parse_alphadigits(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return all images of the file, (1404, 20, 16) float32 in {0, 1}, and their characters."""
    n_images = 39 * len(CLASSES["all"])
    with reading(ALPHADIGITS.name):
        shapes = {"fea": (n_images, math.prod(_SHAPE)), "gnd": (n_images, 1)}
        pixels, numbers = read_mat(content, **shapes)
        if not np.isin(pixels, (0, 1)).all():
            raise ValueError("its pixels must be 0 or 1")
        if not np.isin(numbers, np.arange(1, 37)).all():
            raise ValueError("its classes must be from 1 to 36")
    # The pixels of an image run down its columns.
    images = pixels.reshape(-1, *_SHAPE[::-1]).swapaxes(1, 2).astype(np.float32)
    return images, np.array(list(CLASSES["all"]))[numbers.ravel().astype(int) - 1]


def _resize(image, shape):
    """Resize an image, smoothing what is finer than the pixels of the result."""
    resized = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized).clip(0, 1)
