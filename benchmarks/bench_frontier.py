"""Cross-validated error and calibration against training time: the default, recipes and others.

Errors, log-losses and expected calibration errors are those of a five-fold cross-validation of all
training images, of roweis and of zip, in one torch thread. Times are medians of three fits to the
10,000 training images of roweis, of all settings in turn.

"AdamW" is the default before Muon, batches and deformations by the size of the data were chosen.
frontier_settings.csv lists the settings from which these were chosen, in the same folds.
"""

import statistics

from harness import calibration_error, interleaved, main, ratio
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, RandomDeformation, fetch_usps
from sklearn_usps.recipes import recipe


def convnet(**params):
    return make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=0, **params))


ADAMW = {
    "optimizer": "adamw",
    "lr": 0.02,
    "batch_size": 128,
    "max_epochs": 20,
    "augmentation": RandomDeformation(rotation=12, shear=0.2),
}
SETTINGS = {
    "recipe one-pass": recipe("one-pass", random_state=0),
    "recipe fast": recipe("fast", random_state=0),
    "10 epochs, bfloat16": convnet(max_epochs=10, precision="bfloat16"),
    "bfloat16": convnet(precision="bfloat16"),
    "default": convnet(),
    "AdamW": convnet(**ADAMW),
    "recipe best": recipe("best", random_state=0),
}


def measure(model, X, y):
    """Return error, log-loss and expected calibration error in cross-validation."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    p = cross_val_predict(model, X, y, cv=folds, method="predict_proba", n_jobs=2)
    return {
        "error": f"{100 * (p.argmax(axis=1) != y).mean():.2f} %",
        "log-loss": f"{log_loss(y, p):.4f}",
        "calibration error": f"{100 * calibration_error(y, p):.1f} %",
    }


def run(quick):
    data = {v: fetch_usps(version=v, subset="train", return_X_y=True) for v in ("roweis", "zip")}
    if quick:
        data = {version: (X[::25], y[::25]) for version, (X, y) in data.items()}
        for model in SETTINGS.values():
            model[-1].set_params(max_epochs=1)
    recipe("fast").fit(*(part[::20] for part in data["roweis"]))  # torch starts
    seconds = interleaved(
        {name: lambda model=model: model.fit(*data["roweis"]) for name, model in SETTINGS.items()},
        1 if quick else 3,
    )
    rows = []
    for name, model in SETTINGS.items():
        row = {
            "settings": name,
            "seconds": f"{statistics.median(seconds[name]):.1f}",
            "share of the time of AdamW": ratio(seconds[name], seconds["AdamW"]),
        }
        for version, (X, y) in data.items():
            measured = measure(model, X, y)
            row |= {f"{key}, {version}": value for key, value in measured.items()}
        rows.append(row)
    return {"Five-fold cross-validation": rows}


if __name__ == "__main__":
    main("frontier", run)
