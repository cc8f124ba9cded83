"""
====================
Misclassified images
====================

:class:`~sklearn_usps.MisclassifiedDisplay` shows the images behind an error rate, for any
scikit-learn classifier. This example compares a convolutional network with a support vector
machine.
"""

# %%
# Two classifiers
# ---------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.svm import SVC

from sklearn_usps import MisclassifiedDisplay, fetch_usps
from sklearn_usps.recipes import recipe

X, y = fetch_usps(subset="train", return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
network = recipe("fast", random_state=0).fit(X, y)
svc = SVC(C=10, gamma=0.02).fit(X, y)

# %%
# Mistakes of the network
# -----------------------
# Below each image are its label, the prediction, its probability and the image's row in the data.
# The most confident mistakes come first: mislabeled images would appear among them. Here they are
# badly or unusually written digits.

of_network = MisclassifiedDisplay.from_estimator(network, X_test, y_test)

# %%
# Mistakes of the support vector machine
# --------------------------------------
# An :class:`~sklearn.svm.SVC` predicts no probabilities, so the images keep the order of the data.

of_svc = MisclassifiedDisplay.from_estimator(svc, X_test, y_test, max_images=24)

# %%
# Common mistakes
# ---------------
# `frame` returns all misclassified images as a data frame. The SVC makes more mistakes than the
# network and shares most of the network's: these images are hard for either method.

common = of_network.frame().merge(
    of_svc.frame(), on=["index", "true"], suffixes=(" (network)", " (SVC)")
)
n_network, n_svc = len(of_network.frame()), len(of_svc.frame())
print(f"Network {n_network}, SVC {n_svc}, both {len(common)} of 1,000:")
print(common)

# %%
# Confusion matrices
# ------------------
# scikit-learn's :class:`~sklearn.metrics.ConfusionMatrixDisplay` counts the mistakes by label and
# prediction; the diagonal is left empty. A frequently confused pair of digits would stand out;
# counts of one or two may be chance.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for ax, (name, model) in zip(axes, {"network": network, "SVC": svc}.items(), strict=True):
    display = ConfusionMatrixDisplay.from_estimator(
        model, X_test, y_test, ax=ax, colorbar=False, cmap="Greys"
    )
    counts = display.confusion_matrix * (1 - np.eye(10, dtype=int))
    display.im_.set(data=counts, clim=(0, max(counts.max(), 1)))
    for place, text in np.ndenumerate(display.text_):
        text.set_text(str(counts[place]) if counts[place] else "")
        text.set_color("w" if counts[place] > counts.max() / 2 else "k")
    ax.set_title(f"{name}: {counts.sum()} of 1,000 misclassified")
plt.show()
