"""Refusals and errors on pictures of digits as people bring them.

1. All training images of roweis and of zip, rendered as pictures of 28 to 2,000 pixels with
   margins, noise, shadows, both polarities and orientations noted by a camera, prepared for their
   version and predicted by models of the other four of five folds, beside the errors on the
   originals.
2. Held-out images of each version as 200 photographs of pages: on desks, in frames, lined, in the
   shadow.
3. Digits of other data sets, of which nothing is trained on: scikit-learn's `load_digits` and
   `fetch_alphadigits`, as plain pictures of 180 pixels.

The model "pictures", that of ``train --data pictures``, has seen the training images of both
versions: its photographs are of the test images of roweis. It predicts pictures prepared for zip.

A refused picture counts as not right, but not as a wrong answer.
"""

import numpy as np
from harness import main
from rendering import as_photograph, as_picture
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    fetch_alphadigits,
    fetch_usps,
    prepare_image,
)
from sklearn_usps.recipes import make_picture_digits

VERSIONS = ("roweis", "zip")
PICTURES = "pictures"
N_PHOTOGRAPHS = 200
CONFIDENT = 0.9


def new_model(seed):
    return make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=seed))


def picture_model(seed, quick):
    """Train as the command line does for pictures."""
    X, y = make_picture_digits(random_state=seed)
    options = {"max_epochs": 1} if quick else {}
    classifier = ConvNetClassifier(
        early_stopping=True, test_time_augmentation=True, random_state=seed, **options
    )
    return make_pipeline(ImageNormalizer(), classifier).fit(X, y)


def prepared(pictures, version):
    """Return the prepared pictures, and which of them were not refused."""
    rows, accepted = [], []
    for picture in pictures:
        try:
            rows.append(prepare_image(picture, version=version).ravel())
            accepted.append(True)
        except ValueError:
            accepted.append(False)
    return np.array(rows, np.float32).reshape(len(rows), 256), np.array(accepted)


def outcome(model, pictures, y, version):
    """Return counts of pictures: all, refused, wrong, and wrong with a high probability."""
    X, accepted = prepared(pictures, version)
    probabilities = model.predict_proba(X)
    wrong = model.classes_[probabilities.argmax(axis=1)] != y[accepted]
    confident = wrong & (probabilities.max(axis=1) > CONFIDENT)
    return np.array([len(y), (~accepted).sum(), wrong.sum(), confident.sum()])


def row(name, counts, **more):
    n_pictures, n_refused, n_wrong, n_confident = map(int, counts)
    right = n_pictures - n_refused - n_wrong
    return {
        "pictures of": name,
        "pictures": n_pictures,
        "refused": n_refused,
        "right": f"{100 * right / n_pictures:.2f} %",
        "wrong": f"{100 * n_wrong / n_pictures:.2f} %",
        f"wrong, p > {CONFIDENT}": n_confident,
        **more,
    }


def picture_sizes(rng, n_pictures):
    return np.exp(rng.uniform(np.log(28), np.log(2000), n_pictures)).astype(int)


def folds(version, quick):
    """Return the rows of rendered training images and of photographs, and a model of all images."""
    X, y = fetch_usps(version=version, subset="train", return_X_y=True)
    X, y = (X[::40], y[::40]) if quick else (X, y)
    rng = np.random.default_rng(0)
    rendered, photographed, n_errors = np.zeros(4, int), np.zeros(4, int), 0
    splits = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
    for seed, (train, test) in enumerate(splits):
        model = new_model(seed).fit(X[train], y[train])
        n_errors += (model.predict(X[test]) != y[test]).sum()
        images = X[test].reshape(-1, 16, 16)
        sizes = picture_sizes(rng, len(images))
        pictures = (as_picture(i, s, rng=rng) for i, s in zip(images, sizes, strict=True))
        rendered += outcome(model, pictures, y[test], version)
        chosen = rng.choice(len(test), (10 if quick else N_PHOTOGRAPHS) // 5, replace=False)
        photographs = (as_photograph(images[i], rng) for i in chosen)
        photographed += outcome(model, photographs, y[test][chosen], version)
    original = {"error on originals": f"{100 * n_errors / len(y):.2f} %"}
    return row(version, rendered, **original), row(version, photographed), new_model(0).fit(X, y)


def photographs_of_test_images(model, quick):
    X, y = fetch_usps(version="roweis", subset="test", return_X_y=True)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(y), 10 if quick else N_PHOTOGRAPHS, replace=False)
    photographs = (as_photograph(X[i].reshape(16, 16), rng) for i in chosen)
    return row(PICTURES, outcome(model, photographs, y[chosen], "zip"))


def foreign_rows(model, trained_on, quick):
    """Return the rows of a model, for pictures prepared for the version of its images."""
    version = trained_on if trained_on in VERSIONS else "zip"
    rows = []
    for name, (images, y) in foreign_digits().items():
        images, y = (images[::20], y[::20]) if quick else (images, y)
        counts = outcome(model, plain_pictures(images), y, version)
        rows.append({"trained on": trained_on, **row(name, counts)})
    return rows


def foreign_digits():
    """Return images in [0, 1] with a margin, and labels, of digits of other writers."""
    digits = load_digits()
    alphadigits = fetch_alphadigits(subset="digits")
    return {
        "load_digits": (digits.images / 16, digits.target),
        "fetch_alphadigits": (
            alphadigits.images.astype(float),
            alphadigits.target.astype(int),
        ),
    }


def plain_pictures(images):
    rng = np.random.default_rng(0)
    plain = {"light_on_dark": False, "margin": 0.2, "noise": 0, "shadow": 0, "orientation": 1}
    return (as_picture(image, 180, rng=rng, **plain) for image in images)


def run(quick):
    tables = {"Training images as pictures": [], "Photographs": [], "Foreign digits": []}
    for version in VERSIONS:
        rendered, photographed, model = folds(version, quick)
        tables["Training images as pictures"].append(rendered)
        tables["Photographs"].append(photographed)
        tables["Foreign digits"] += foreign_rows(model, version, quick)
    model = picture_model(0, quick)
    tables["Photographs"].append(photographs_of_test_images(model, quick))
    tables["Foreign digits"] += foreign_rows(model, PICTURES, quick)
    return tables


if __name__ == "__main__":
    main("own_pictures", run)
