"""
======================
LeCun's network (1989)
======================

The first convolutional network trained by backpropagation read handwritten zip codes from the same
source as USPS. It has 9,760 parameters and trained on one image at a time, for three days on a Sun
workstation.
"""

# %%
# Training
# --------
# :func:`~sklearn_usps.recipes.recipe` returns the network as published: two layers of 5 × 5 filters
# with stride 2, thirty hidden units, squared error with targets of ±1, and stochastic gradient
# descent. As in the paper, the learning rate of each weight depends on its second derivative.
#
# To save time, this example trains on 3,000 images for 3 epochs instead of 23. It uses the version
# "roweis"; the published errors are for the version "zip" and are not comparable.

import time

import matplotlib.pyplot as plt

from sklearn_usps import FeatureMapDisplay, fetch_usps
from sklearn_usps.recipes import RECIPES, recipe

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
X, y = X[:3000], y[:3000]

model = recipe("lecun1989", random_state=0)
model.set_params(convnetclassifier__max_epochs=3)
start = time.perf_counter()
model.fit(X, y)
print(f"{model[-1].n_parameters_:,} parameters, {time.perf_counter() - start:.0f} s")
print(f"Training error {1 - model.score(X, y):.1%}")
print(f"Test error {1 - model.score(X_test, y_test):.1%}")
print(f"Published, on the version zip: {RECIPES['lecun1989'].published}")

# %%
# Feature maps
# ------------
# :class:`~sklearn_usps.FeatureMapDisplay` plots the feature maps of both convolutions, H1 and H2 of
# the paper, for one digit. In H1 the digit is still visible: some maps respond to its strokes,
# others to edges or to the background. In H2, where each map combines 8 maps of H1, only the
# approximate position of the features remains.

image = X_test[y_test == 2][0]
FeatureMapDisplay.from_estimator(model, image)
plt.show()
