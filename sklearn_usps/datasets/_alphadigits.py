"""The Binary Alphadigits: handwritten digits and capital letters."""

import io
import string
from functools import partial

import numpy as np
from PIL import Image
from scipy.io import loadmat

from .._utils._images import check_two_sizes
from .._utils._sklearn import StrOptions, validate_params
from ._base import FETCHER_CONSTRAINTS, cache_folder, make_result, row_order
from ._fetch import HttpMirror, RemoteFile, fetch_file

#: The original file. A new mirror is a further line of `mirrors`, which are tried in order.
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
        **FETCHER_CONSTRAINTS,
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
        The classes to load: "A" to "Z", "0" to "9", or the digits followed by the letters.

    drop_o : bool, default=False
        Whether to leave out the letter "O". No classifier can separate it from the digit "0",
        because the two have the same images in this file.

    image_shape : tuple of int (height, width), default=(20, 16)
        Shape of the images. If it differs from (20, 16), the shape in the file, they are
        resized with antialiasing, which gives pixel values between 0 and 1.

    data_home : str or path-like, default=None
        The cache folder, as for :func:`fetch_usps`. The original file is kept in its subfolder
        'alphadigits'.

    shuffle, random_state : as for :func:`fetch_usps`
        Without shuffling, the samples are sorted by class.

    download_if_missing, return_X_y, as_frame : as for :func:`fetch_usps`

    n_retries, delay, progressbar : as for :func:`fetch_usps`

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes `frame`, `DESCR`, `target_names` and
        `feature_names`, as for :func:`fetch_usps`, and the following ones.

        data : ndarray of shape (n_samples, height * width), dtype float32
            Each row is an image, row by row; 0 is background, 1 is ink. A pandas DataFrame if
            `as_frame=True`.
        images : ndarray of shape (n_samples, height, width), dtype float32
            The same values as images.
        target : ndarray of shape (n_samples,), dtype str
            The characters. A pandas Series if `as_frame=True`.

    (data, target) : tuple if `return_X_y=True`
        Tuple with the `data` and `target` objects described above.

    Raises
    ------
    OSError
        If the data is not in the cache and cannot, or may not, be downloaded.

    See Also
    --------
    fetch_usps : Load the USPS handwritten digits.
    make_letters : Draw letters from fonts, without a download.

    Examples
    --------
    >>> from sklearn_usps import fetch_alphadigits
    >>> letters = fetch_alphadigits(image_shape=(16, 16))  # doctest: +SKIP
    >>> letters.data.shape  # doctest: +SKIP
    (1014, 256)
    """
    shape = check_two_sizes(image_shape, "image_shape", "(height, width)")
    fetch = partial(
        fetch_file,
        folder=cache_folder(data_home, "alphadigits"),
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        progressbar=progressbar,
    )
    classes = CLASSES[subset].replace("O", "") if drop_o else CLASSES[subset]
    images, target = _load(classes, fetch)
    if shape != _SHAPE:
        images = np.stack([_resize(image, shape) for image in images])
    order = row_order(len(target), shuffle, random_state)
    return make_result(
        images[order],
        target[order],
        list(classes),
        "alphadigits.rst",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _load(classes, fetch):
    """Return the images of `classes`, (n, 20, 16) float32 in {0, 1}, and their characters."""
    variables = loadmat(io.BytesIO(fetch(ALPHADIGITS)))
    # The pixels of an image are in column-major order; the classes are numbers from 1 to 36.
    images = variables["fea"].reshape(-1, *_SHAPE[::-1]).swapaxes(1, 2).astype(np.float32)
    target = np.array(list(CLASSES["all"]))[variables["gnd"].ravel().astype(int) - 1]
    rows = np.concatenate([np.flatnonzero(target == name) for name in classes])
    return images[rows], target[rows]


def _resize(image, shape):
    """Resize an image with antialiasing."""
    resized = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized).clip(0, 1)
