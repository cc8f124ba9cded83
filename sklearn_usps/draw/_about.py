"""The description of a model, and some of its training images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._utils._models import open_model
from ..datasets import fetch_usps
from ..persistence import read_metadata

#: Number of training images among which the page finds the nearest.
_N_EXAMPLES = 2000
_TRAINED_ON = {
    "roweis": "the training images of USPS in the version “roweis”, stretched to fill the image",
    "luacnn": "the training images of USPS in the version “luacnn”, stretched to fill the image",
    "zip": "the training images of USPS in the version “zip”, deslanted",
    "pictures": "digits of two versions of USPS, some of them changed to other ways of writing",
}
_AMERICAN = (
    "American writers made the data. A 1 with a flag, as Europeans write it, may be read as 7: "
    "sklearn-usps train --data pictures trains with such digits."
)
_NOTES = {
    "pictures": "American writers made the data. The flag of a 1 and the bar of a 7 were added to "
    "some of the digits by a program."
}


def about_model(model, path: Path, data: str | None) -> dict[str, Any]:
    """Return the description of a saved model for the page.

    `data` names what it was trained on if the file does not.
    """
    metadata: Any = read_metadata(path)
    data = metadata.get("data", data or metadata.get("version"))
    _, classifier = open_model(model, calibrated="first")
    name = getattr(classifier, "network", type(classifier).__name__)
    if not isinstance(name, str):
        name = name.__name__
    if n_parameters := getattr(classifier, "n_parameters_", None):
        name = f"{name}, {n_parameters:,} parameters"
    error = metadata.get("test_error")
    return {
        "name": name,
        "test_error": error if isinstance(error, (int, float)) and 0 <= error <= 1 else None,
        "trained_on": _TRAINED_ON.get(str(data)),
        "note": _NOTES.get(str(data), _AMERICAN) if str(data) in _TRAINED_ON else None,
    }


def load_examples(model, version: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return training images of a version and their labels; None where there are none to load."""
    try:
        usps = fetch_usps(version=version, subset="train")
    except OSError as error:  # not downloaded, and no network
        print(f"The page shows no nearest training digits: {error}")
        return None, None
    if usps.data.shape[1] != model.n_features_in_:
        return None, None
    rows = np.linspace(0, len(usps.data) - 1, _N_EXAMPLES).round().astype(int)
    return usps.data[rows], usps.target[rows]
