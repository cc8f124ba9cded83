"""Make model.json and about.json, from which the page answers on the documentation's site.

The model is trained in one to two minutes on two cores, and its file is the argument::

    python -m sklearn_usps train --data pictures --seed 0 --output usps-output
    python docs/draw/make_model.py usps-output/model.skops
"""

import json
import sys
from pathlib import Path

import numpy as np

from sklearn_usps import load_model
from sklearn_usps.draw._about import about_model
from sklearn_usps.draw._export import export_model
from sklearn_usps.recipes import make_picture_digits

#: Training images of each digit among which the page finds the nearest.
N_EXAMPLES = 20
#: The first images of make_picture_digits are those of the version "zip".
N_ZIP = 7291


def choose_examples() -> tuple[np.ndarray, np.ndarray]:
    """Return training images, evenly spread over those of each digit, and their labels."""
    X, y = (values[:N_ZIP] for values in make_picture_digits(random_state=0))
    chosen = []
    for digit in np.unique(y):
        rows = np.flatnonzero(y == digit)
        chosen.append(rows[np.linspace(0, len(rows) - 1, N_EXAMPLES).round().astype(int)])
    rows = np.concatenate(chosen)
    return X[rows], y[rows]


def main(path: Path) -> None:
    """Write the files beside this one."""
    model = load_model(path)
    # The page asks the network once for an image, not once for each shift, so this is its error.
    model[-1].test_time_augmentation = False
    X_test, y_test = make_picture_digits(subset="test")
    about = about_model(model, path, "pictures")
    about |= {"backend": "browser", "test_error": round(1 - model.score(X_test, y_test), 4)}
    exported = export_model(model, *choose_examples())
    for name, values in [("about.json", about), ("model.json", exported)]:
        text = json.dumps(values, ensure_ascii=False, indent=1 if name == "about.json" else None)
        Path(__file__).with_name(name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
