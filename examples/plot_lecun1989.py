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
import numpy as np
import torch

from sklearn_usps import fetch_usps
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
# The figure shows the feature maps of both convolutions, H1 and H2, for one digit. In H1 the digit
# is still visible: some maps respond to its strokes, others to edges or to the background. In H2,
# where each map combines 8 maps of H1, only the approximate position of the features remains.

network = model[-1].net_.module_
image = X_test[y_test == 2][:1]
scaled = model[:-1].transform(image)
with torch.no_grad():
    h1 = network.h1(torch.tensor(scaled.reshape(1, 1, 16, 16), dtype=torch.float32))
    h2 = network.h2(h1)

figure, axes = plt.subplots(3, 1, figsize=(8, 5), height_ratios=[1.4, 1, 0.8], layout="constrained")
axes[0].imshow(image.reshape(16, 16), cmap="gray")
axes[0].set_title("Test image")
for ax, maps, name in zip(axes[1:], (h1[0], h2[0]), ("H1", "H2"), strict=True):
    size = maps.shape[1]
    row = np.hstack([np.pad(one, 1, constant_values=np.nan) for one in maps.numpy()])
    ax.imshow(row, cmap="gray", vmin=-1.7, vmax=1.7)
    ax.set_title(f"{name}: 12 feature maps, {size} × {size}, from -1.7 (black) to 1.7 (white)")
for ax in axes:
    ax.set_axis_off()
figure.suptitle("lecun1989 after 3 epochs of 3,000 images, seed 0")
plt.show()
