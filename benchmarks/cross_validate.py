"""Cross-validation of ConvNetClassifier settings on training images.

Run: python benchmarks/cross_validate.py [SETTINGS ...]

Each of SETTINGS is a Python expression for the keyword arguments of ConvNetClassifier, such as
"dict(lr=0.01)"; the default is one, "dict()". The classifier follows an ImageNormalizer in a
pipeline. It is fitted on five stratified folds of the training images of roweis, then of zip, with
random_state 0 to 4, in one torch thread.

Prints the log-loss on the validation folds, after the temperature was set to its best value for all
of them, and errors in %: on the validation folds; on the folds blurred, thickened, thinned, partly
covered and strongly deformed; and on the training images of the other version, whose digits are
drawn in another style.

Three tables list the settings that were tried. default_settings.csv and fast_settings.csv are from
the first choice of networks and deformations, with AdamW and deformations in pixels;
frontier_settings.csv is from the last one, of optimizers, batches, epochs and recipes. Its further
repetitions have other folds and the next random states.
"""

import sys
import warnings

import numpy as np
import torch
from scipy import ndimage
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, RandomDeformation, fetch_usps

STRONG = RandomDeformation(
    rotation=15, scale=0.2, shear=0.25, shift=0.094, elastic_displacement=0.04
)


def cover(images):
    """Blacken a square of 4 × 4 pixels in each image."""
    rng = np.random.default_rng(0)
    images = images.copy()
    for image, (row, column) in zip(images, rng.integers(0, 13, (len(images), 2)), strict=True):
        image[row : row + 4, column : column + 4] = 0
    return images


def deform(images):
    return STRONG(torch.from_numpy(images)[:, None], torch.Generator().manual_seed(0))[:, 0].numpy()


CHANGES = {
    "fold": lambda images: images,
    "blurred": lambda images: ndimage.gaussian_filter(images, (0, 0.8, 0.8), mode="nearest"),
    "thick": lambda images: np.maximum(images, 0.8 * ndimage.grey_dilation(images, (1, 2, 2))),
    "thin": lambda images: 0.4 * images + 0.6 * ndimage.grey_erosion(images, (1, 2, 2)),
    "covered": cover,
    "deformed": deform,
}


def calibrated_log_loss(y, p):
    """Return the log-loss of probabilities p with the best temperature for all of them."""
    log_p = np.log(np.maximum(p, 1e-12))

    def loss(log_temperature):
        scaled = np.exp(log_p / np.exp(log_temperature))
        return log_loss(y, scaled / scaled.sum(axis=1, keepdims=True))

    return minimize_scalar(loss, bounds=(-3, 2), method="bounded").fun


def figures(settings, X, y, X_other, y_other):
    """Return the log-loss and the error rates over five fits, by test images."""
    wrong = {name: [] for name in [*CHANGES, "other"]}
    p = np.zeros((len(y), 10))
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
    for seed, (train, valid) in enumerate(folds):
        classifier = ConvNetClassifier(**settings, random_state=seed)
        model = make_pipeline(ImageNormalizer(), classifier).fit(X[train], y[train])
        p[valid] = model.predict_proba(X[valid])
        for name, change in CHANGES.items():
            changed = change(X[valid].reshape(-1, 16, 16)).reshape(-1, 256).astype(np.float32)
            wrong[name] += (model.predict(changed) != y[valid]).tolist()
        wrong["other"] += (model.predict(X_other) != y_other).tolist()
    return calibrated_log_loss(y, p), {name: np.mean(values) for name, values in wrong.items()}


def main(settings=("dict()",)):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "X has values in")  # the normalized versions differ in range
    data = {v: fetch_usps(version=v, subset="train", return_X_y=True) for v in ("roweis", "zip")}
    print(
        "version log-loss " + " ".join(f"{name:>8}" for name in [*CHANGES, "other"]) + "  settings"
    )
    for text in settings:
        for version, other in [("roweis", "zip"), ("zip", "roweis")]:
            loss, errors = figures(eval(text), *data[version], *data[other])
            row = " ".join(f"{100 * error:8.2f}" for error in errors.values())
            print(f"{version:7} {loss:8.4f} {row}  {text}", flush=True)


if __name__ == "__main__":
    main(*[sys.argv[1:]] if sys.argv[1:] else ())
