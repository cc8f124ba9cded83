"""
======================
Attributions of pixels
======================

:class:`~sklearn_usps.AttributionDisplay` shows the pixels on which a prediction depends. It covers
a square around each pixel and measures how far the probability of a class falls, for any
classifier. This example finds the reasons of two mistakes: a stroke too many, and one too few.
"""

# %%
# A stroke too many
# -----------------
# Of all sevens in the test set, this one has the highest probability of a three. With the value of
# the background as `fill`, squares are erased, so that only strokes matter. Red strokes support the
# class, blue ones speak against it.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import AttributionDisplay, fetch_usps
from sklearn_usps.recipes import recipe

X, y = fetch_usps(subset="train", return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
model = recipe("fast", random_state=0).fit(X, y)
probabilities = model.predict_proba(X_test)

seven = X_test[np.where(y_test == 7, probabilities[:, 3], 0).argmax()]
AttributionDisplay.from_estimator(model, seven, target=3, fill=0)
of_seven = AttributionDisplay.from_estimator(model, seven, target=7, fill=0)

# %%
# The horizontal bar makes this seven a three. Without the bar, the network reads a seven:


def print_probabilities(name, image):
    p = model.predict_proba(image[np.newaxis])[0]
    print(f"{name}: 3 with probability {p[3]:.1%}, 7 with {p[7]:.1%}")


bar = of_seven.attributions.ravel() < -0.1
print_probabilities("With the bar", seven)
print_probabilities("Without it", np.where(bar, 0, seven))

# %%
# A bar is common in Europe, but rare among the American writers of these digits. The network has
# hardly seen that it means nothing.
#
# A stroke too few
# ----------------
# By default squares are gray, which weakens strokes and fills gaps, so that gaps matter too. Of all
# threes in the test set, this one has the lowest probability of a three.

three = X_test[np.where(y_test == 3, probabilities[:, 3], 1).argmin()]
AttributionDisplay.from_estimator(model, three, target=7)
of_three = AttributionDisplay.from_estimator(model, three, target=3)

# %%
# This three ends too early: its lower bow is missing. Gray pixels in the place of the bow suffice
# to make it a three:

gap = of_three.attributions.ravel() < -0.2
print_probabilities("With the gap", three)
print_probabilities("With a gray bow", np.where(gap, 0.5, three))
plt.show()
