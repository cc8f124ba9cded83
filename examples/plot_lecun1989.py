"""
=====================
The network of 1989
=====================

The first convolutional network that was trained by backpropagation read digits from the same post:
9,760 parameters, images one at a time, three days on a Sun workstation.
"""

# %%
# The network
# -----------
# :func:`~sklearn_usps.recipes.recipe` sets it up as published, but for the learning rates, which
# then came from second derivatives: two layers of 5 × 5 filters of stride 2, thirty hidden units,
# squared error, targets of ±1 and stochastic gradient descent. Here it trains on 3,000 images of
# the version "roweis", for 3 passes of the original 23. The published errors are of the version
# "zip": other pictures, whose errors can't be compared with these.

import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from sklearn_usps import fetch_usps
from sklearn_usps.recipes import RECIPES, recipe

print(RECIPES["lecun1989"].published)
X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
X, y = X[:3000], y[:3000]

model = recipe("lecun1989", random_state=0)
model.set_params(convnetclassifier__max_epochs=3)
start = time.perf_counter()
model.fit(X, y)
print(f"{model[-1].n_parameters_:,} parameters, {time.perf_counter() - start:.0f} s")
print(f"Error {1 - model.score(X, y):.1%} on the training images,")
print(f"      {1 - model.score(X_test, y_test):.1%} on the test images")

# %%
# What the two layers see
# -----------------------
# The planes H1 and H2 for one digit. In H1 the digit can still be seen: each plane answers to
# another pattern of its strokes, to ink in some and to an edge or the background in others. In H2,
# each plane of which sees 8 of those of H1, what is left is only roughly where something was found.

network = model[-1].net_.module_
image = X_test[y_test == 2][:1]
scaled = model[:-1].transform(image)
with torch.no_grad():
    h1 = network.h1(torch.tensor(scaled.reshape(1, 1, 16, 16), dtype=torch.float32))
    h2 = network.h2(h1)

figure, axes = plt.subplots(3, 1, figsize=(8, 5), height_ratios=[1.4, 1, 0.8], layout="constrained")
axes[0].imshow(image.reshape(16, 16), cmap="gray")
axes[0].set_title("a digit of the test images")
for ax, planes, name in zip(axes[1:], (h1[0], h2[0]), ("H1", "H2"), strict=True):
    size = planes.shape[1]
    row = np.hstack([np.pad(plane, 1, constant_values=np.nan) for plane in planes.numpy()])
    ax.imshow(row, cmap="gray", vmin=-1.7, vmax=1.7)
    ax.set_title(f"{name}: 12 planes of {size} × {size} units, from -1.7 (black) to 1.7 (white)")
for ax in axes:
    ax.set_axis_off()
figure.suptitle("lecun1989 after 3 passes over 3,000 images, seed 0")
plt.show()
