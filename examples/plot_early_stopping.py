"""
=====================================
Early stopping, and the curve to see
=====================================

When has a network trained long enough? Images that it does not learn from tell: first their loss
falls with that of the training images, then it rises.
"""

# %%
# Few images, many epochs
# -----------------------
# With 400 images and a constant rate, without deformation, a network soon knows them by heart. The
# 1,000 images to validate are the same for all networks on this page. Without early stopping
# they change nothing and are only recorded.

import matplotlib.pyplot as plt

from sklearn_usps import ConvNetClassifier, TrainingCurveDisplay, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
X, y, X_val, y_val = X[:400], y[:400], X[400:1400], y[400:1400]

settings = {
    "network": "lenet5",
    "lr": 0.005,
    "lr_schedule": "constant",
    "batch_size": 32,
    "augmentation": None,
    "label_smoothing": 0.0,
    "max_epochs": 40,
    "random_state": 0,
}
to_the_end = ConvNetClassifier(**settings).fit(X, y, X_val=X_val, y_val=y_val)

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, metric in zip(axes, ["loss", "error"], strict=True):
    TrainingCurveDisplay.from_estimator(to_the_end, metric=metric, ax=ax)
figure.suptitle("LeNet-5, 400 images, 1,000 to validate, seed 0")

# %%
# The training images are soon all right, and their loss goes on to zero. The validation loss is
# smallest after a few epochs and rises slowly from then on: the network becomes surer of its
# mistakes. The validation error hardly shows it, since about as many images stay wrong. That is why
# early stopping goes by the loss.

# %%
# Stopped early
# -------------
# `early_stopping` ends the same training when the loss has not fallen for some epochs, and goes
# back to the weights of the best one. For a share of the training images instead of images of your
# own, leave out `X_val` and `y_val`.

stopped = ConvNetClassifier(**settings, early_stopping=True, n_iter_no_change=8)
stopped.fit(X, y, X_val=X_val, y_val=y_val)
print(f"Stopped after {stopped.n_iter_} epochs of 40; the best was {stopped.best_epoch_}")
end = to_the_end.history_[-1]["valid_loss"]
best = stopped.history_[stopped.best_epoch_ - 1]["valid_loss"]
print(f"Validation loss: {best:.3f} at the best epoch, {end:.3f} after the last")

# %%
# What helps more
# ---------------
# Deformed images never come twice, so they can't be learned by heart, and a rate that falls to
# zero ends where it is best. The defaults need no early stopping. While the rate is high, their
# validation error jumps; what counts is where it ends.

default = ConvNetClassifier(max_epochs=40, batch_size=32, random_state=0)
default.fit(X, y, X_val=X_val, y_val=y_val)
display = TrainingCurveDisplay.from_estimators({"LeNet-5": to_the_end, "defaults": default})
display.ax_.set_title("400 images, 1,000 to validate, seed 0")
for name, fitted in [
    ("LeNet-5 to the end", to_the_end),
    ("LeNet-5, stopped early", stopped),
    ("defaults", default),
]:
    print(f"{name:22}: test error {1 - fitted.score(X_test, y_test):.1%}")
plt.show()

# %%
# Early stopping saves time, and its network is less sure of its mistakes. It need not have fewer of
# them: with one seed and 1,000 test images, a difference of 1 % may be chance. The distance of both
# to the defaults is more than that.
