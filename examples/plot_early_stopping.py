"""
=====================================
Early stopping, and the curve to see
=====================================

When has a network trained long enough? A part of the training images is held out; their loss tells.
"""

# %%
# Few images, many epochs
# -----------------------
# With 500 images and a constant rate, without deformation, a network soon knows them by heart.

import matplotlib.pyplot as plt

from sklearn_usps import ConvNetClassifier, TrainingCurveDisplay, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
X, y = X[:500], y[:500]

classifier = ConvNetClassifier(
    network="lenet5",
    lr=0.002,
    lr_schedule="constant",
    batch_size=32,
    deformer=None,
    label_smoothing=0.0,
    max_epochs=60,
    early_stopping=True,
    n_iter_no_change=8,
    validation_fraction=0.2,
    random_state=0,
)
classifier.fit(X, y)
print(f"Stopped after {classifier.n_iter_} epochs; the best was {classifier.best_epoch_}")

# %%
# The curves
# ----------
# Early stopping goes by the loss, not by the error: the loss still tells epochs apart in which
# the same few images are wrong.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, metric in zip(axes, ["loss", "error"], strict=True):
    TrainingCurveDisplay.from_estimator(classifier, metric=metric, ax=ax)
    ax.set_title("LeNet-5, 400 images, 100 to validate, seed 0")

# %%
# What helps more
# ---------------
# Deformed images never come twice, so they can't be learned by heart, and a rate that falls to
# zero ends where it is best. The defaults need no early stopping; the validation error that they
# record is there to look at.

default = ConvNetClassifier(max_epochs=40, batch_size=32, random_state=0)
default.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
display = TrainingCurveDisplay.from_estimators({"LeNet-5": classifier, "defaults": default})
display.ax_.set_title("400 images, 100 to validate, seed 0")
for name, fitted in [("LeNet-5, stopped early", classifier), ("defaults", default)]:
    print(f"{name}: test error {1 - fitted.score(X_test, y_test):.1%}")
plt.show()
