"""
====================
The wrong examples
====================

An error of 2 % is a figure. The images behind it tell what it is made of. Any classifier of
scikit-learn will do.
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
# What the network gets wrong
# ---------------------------
# Under each image its label and the prediction, the probability of the prediction and the row. The
# most confident mistakes come first: there, wrong labels would be found. Here they are digits that
# were written badly or unusually.

MisclassifiedDisplay.from_estimator(network, X_test, y_test)

# %%
# What the support vector machine gets wrong
# ------------------------------------------
# It has no probabilities, so the images come in the order of the data.

MisclassifiedDisplay.from_estimator(svc, X_test, y_test, max_images=24)

# %%
# What both get wrong
# -------------------
# The table of a display is a data frame. The SVC makes more mistakes, but those of the network are
# mostly among them: these images are hard by themselves, not for one method.

of_network = MisclassifiedDisplay.from_predictions(X_test, y_test, network.predict(X_test)).frame()
plt.close()
of_svc = MisclassifiedDisplay.from_predictions(X_test, y_test, svc.predict(X_test)).frame()
plt.close()
both = of_network.merge(of_svc, on=["index", "true"], suffixes=(" by the network", " by the SVC"))
print(f"The network {len(of_network)}, the SVC {len(of_svc)}, both {len(both)} of 1,000:")
print(both)

# %%
# Which digits are taken for which, by scikit-learn's own display, without the right ones. A count
# of one or two is an anecdote; a pair of digits that were often confused would stand out.

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
    ax.set_title(f"{name}: {counts.sum()} of 1,000 wrong")
plt.show()
