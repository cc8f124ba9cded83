"""
============
Feature maps
============

:class:`~sklearn_usps.FeatureMapDisplay` plots the feature maps of an image, layer by layer. This
example follows a misread digit through the network: in which layer does it become another digit?
"""

# %%
# A seven that is read as a three
# -------------------------------
# Of all sevens in the test set, this one has the highest probability of a three. It is written with
# a bar, which is common in Europe and rare among the American writers of these digits.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import FeatureMapDisplay, fetch_usps
from sklearn_usps.recipes import recipe

X, y = fetch_usps(subset="train", return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
model = recipe("fast", random_state=0).fit(X, y)

probabilities = model.predict_proba(X_test)
seven = np.where(y_test == 7, probabilities[:, 3], 0).argmax()
for digit in (3, 7):
    print(f"Probability of a {digit}: {probabilities[seven, digit]:.1%}")

display = FeatureMapDisplay.from_estimator(model, X_test[seven])

# %%
# Each convolution halves height and width. The first one keeps the picture: some maps are bright
# along one side of the strokes, others in the background. In the last one a map has four values,
# one for each quarter of the image, and most of them are zero:

for name, maps in list(display.maps.items())[1:]:
    print(f"{name}: {np.mean(maps == 0):.0%} of the values are zero")

# %%
# Where the seven becomes a three
# -------------------------------
# For each layer, fifteen sevens and fifteen threes give the mean maps of both digits. The figure
# shows which of them the maps of an image resemble: the cosine of the angle between their
# difference from the middle of both means and the difference of the means. Thin lines are other
# test images.


def maps_of(image):
    """Return the maps of an image, without a figure."""
    display = FeatureMapDisplay.from_estimator(model, image)
    plt.close(display.figure_)
    return display.maps


def resemblance(maps, layer):
    """Return a number from -1, as a three, to 1, as a seven."""
    seven, three = (np.mean([each[layer] for each in known[digit]], axis=0) for digit in (7, 3))
    direction, difference = seven - three, maps[layer] - (seven + three) / 2
    return (difference * direction).sum() / np.linalg.norm(difference) / np.linalg.norm(direction)


known = {digit: [maps_of(image) for image in X[y == digit][:15]] for digit in (7, 3)}
layers = list(display.maps)
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for digit, color in [(7, "#0072B2"), (3, "#D55E00")]:
    for image in X_test[y_test == digit][:8]:
        maps = maps_of(image)
        lines = ax.plot(layers, [resemblance(maps, layer) for layer in layers], color=color, lw=0.8)
    lines[0].set_label(f"{digit}s")
line = [resemblance(display.maps, layer) for layer in layers]
ax.plot(layers, line, "o-", color="black", lw=2.5, label="the misread 7")
ax.axhline(0, color="gray", lw=0.8, ls="--")
ax.set(ylabel="like a 3   ←   →   like a 7", ylim=(-1, 1), title="The last layer makes it a three")
ax.legend(loc="upper left", ncols=3)
plt.show()

# %%
# The pixels and the maps of the first two convolutions resemble a seven, as much as those of some
# other sevens do. Only the last convolution, which sees large parts of the image at once, turns it
# into a three. :ref:`sphx_glr_auto_examples_plot_attribution.py` finds the responsible stroke.
