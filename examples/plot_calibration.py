"""
========================
Calibrated probabilities
========================

`label_smoothing` lowers the error, but it makes the probabilities too small: the network is right
more often than it says. A single parameter, the temperature, corrects this on images that were not
trained on (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017).
scikit-learn has it in :class:`~sklearn.calibration.CalibratedClassifierCV` from 1.8 on.
"""

# %%
# Training and calibration
# ------------------------
# 3,000 images train the network, 1,000 others determine the temperature, and the rest are for
# testing. :class:`~sklearn.frozen.FrozenEstimator` keeps the fitted network as it is.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, log_loss

from sklearn_usps import ConvNetClassifier, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = X[4000:], y[4000:]
classifier = ConvNetClassifier(random_state=0).fit(X[:3000], y[:3000])
calibrated = CalibratedClassifierCV(FrozenEstimator(classifier), method="temperature")
calibrated.fit(X[3000:4000], y[3000:4000])

# %%
# Error and calibration
# ---------------------
# The temperature changes no prediction. The log-loss and the expected calibration error both become
# smaller. The latter is the mean distance of accuracy and probability over bins of images with
# similar probabilities.


def reliability(model):
    """Return the mean probability, the accuracy and the number of images of each bin."""
    probabilities = model.predict_proba(X_test)
    largest = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == y_test
    bins = np.minimum((15 * largest).astype(int), 14)
    counts = np.bincount(bins, minlength=15)
    sums = [np.bincount(bins, values, minlength=15) for values in (largest, is_right)]
    return [total[counts > 0] / counts[counts > 0] for total in sums] + [counts[counts > 0]]


figure, ax = plt.subplots(layout="constrained")
ax.plot([0, 1], [0, 1], color="gray", linewidth=1)
for name, model, style in [
    ("as trained", classifier, {"color": "#D55E00", "marker": "o"}),
    ("calibrated", calibrated, {"color": "#0072B2", "marker": "s"}),
]:
    confidence, accuracy, counts = reliability(model)
    error = np.average(abs(confidence - accuracy), weights=counts)
    print(
        f"{name}: error {1 - accuracy_score(y_test, model.predict(X_test)):.2%}, "
        f"log-loss {log_loss(y_test, model.predict_proba(X_test)):.4f}, "
        f"expected calibration error {error:.2%}"
    )
    ax.scatter(confidence, accuracy, 4 * np.sqrt(counts), **style, alpha=0.7, label=name)
ax.set(
    xlabel="Mean probability of the predicted class",
    ylabel="Accuracy",
    title="Bins of test images; the area grows with their number",
)
ax.legend(loc="upper left", markerscale=0.3)
plt.show()
