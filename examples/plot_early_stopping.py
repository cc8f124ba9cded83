"""
==============
Early stopping
==============

A network that trains too long on few images overfits. The loss on a validation set shows when: it
first falls with the training loss, then rises. Early stopping returns to the weights of its
minimum.
"""

# %%
# Overfitting
# -----------
# 400 images, a constant learning rate and no augmentation make LeNet-5 overfit within 40 epochs.
# All networks of this example have the same 1,000 validation images. Without early stopping, `fit`
# only records the loss and the error on them.

import matplotlib.pyplot as plt

from sklearn_usps import ConvNetClassifier, TrainingCurveDisplay, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
X, y, X_val, y_val = X[:400], y[:400], X[400:1400], y[400:1400]

params = {
    "network": "lenet5",
    "optimizer": "adamw",
    "lr": 0.005,
    "lr_schedule": "constant",
    "batch_size": 32,
    "augmentation": None,
    "label_smoothing": 0.0,
    "max_epochs": 40,
    "random_state": 0,
}
overfitted = ConvNetClassifier(**params).fit(X, y, X_val=X_val, y_val=y_val)

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, metric in zip(axes, ["loss", "error"], strict=True):
    TrainingCurveDisplay.from_estimator(overfitted, metric=metric, ax=ax)
figure.suptitle("LeNet-5, 400 training and 1,000 validation images, seed 0")

# %%
# The training loss falls to zero. The validation loss is smallest after a few epochs and then rises
# slowly, because the network becomes more confident in its mistakes. The validation error barely
# changes, since about the same number of images stays misclassified. Early stopping therefore
# monitors the loss.

# %%
# Stopping early
# --------------
# `early_stopping` ends the training when the validation loss has not improved for
# `n_iter_no_change` epochs, and restores the weights of the best epoch. Without `X_val` and
# `y_val`, `fit` holds out a fraction of the training images instead.

stopped = ConvNetClassifier(**params, early_stopping=True, n_iter_no_change=8)
stopped.fit(X, y, X_val=X_val, y_val=y_val)
print(f"Stopped after {stopped.n_iter_} of 40 epochs; the best was {stopped.best_epoch_}")
best = stopped.history_[stopped.best_epoch_ - 1]["valid_loss"]
last = overfitted.history_[-1]["valid_loss"]
print(f"Validation loss: {best:.3f} at the best epoch, {last:.3f} after epoch 40")

# %%
# Augmentation instead
# --------------------
# By default, :class:`~sklearn_usps.ConvNetClassifier` deforms the images anew in every epoch, so
# that the network cannot memorize them, and lowers the learning rate to zero. These defaults
# overfit less and need no early stopping. Their validation error fluctuates while the learning rate
# is high; only the last epochs matter.

default = ConvNetClassifier(max_epochs=40, batch_size=32, random_state=0)
default.fit(X, y, X_val=X_val, y_val=y_val)
display = TrainingCurveDisplay.from_estimators({"LeNet-5": overfitted, "defaults": default})
display.ax_.set_title("400 training and 1,000 validation images, seed 0")
for name, fitted in [
    ("LeNet-5, 40 epochs", overfitted),
    ("LeNet-5, stopped early", stopped),
    ("defaults", default),
]:
    print(f"{name:22}: test error {1 - fitted.score(X_test, y_test):.1%}")
plt.show()

# %%
# Early stopping saves time and gives a less overconfident network. It does not always lower the
# error: with one seed and 1,000 test images, a difference of one percentage point may be chance.
# The gap between LeNet-5 and the defaults is larger than that.
