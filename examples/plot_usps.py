"""
============================
Recognize the digits of USPS
============================

Fetch the handwritten digits, train a convolutional network on them and look at what it gets
wrong.
"""

# %%
# The digits
# ----------
# The rows are sorted by digit; here are 20 of each as one mosaic.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MisclassifiedDisplay,
    fetch_usps,
)

train = fetch_usps(subset="train")
test = fetch_usps(subset="test")

rows = [np.hstack(train.images[train.target == digit][:20]) for digit in range(10)]
plt.figure(figsize=(8, 4))
plt.imshow(np.vstack(rows), cmap="gray")
plt.axis("off")
plt.title("USPS digits, version roweis: the first 20 of each digit")

# %%
# The network
# -----------
# A pipeline like any other. A part of the training images is held out, and the weights of the
# epoch with the smallest loss on it are kept.

model = make_pipeline(ImageNormalizer(), ConvNetClassifier(early_stopping=True, random_state=0))
model.fit(train.data, train.target)

# %%
# What it gets wrong
# ------------------
# These of the 1,000 test images. Under each are its label and what the network took it for, the
# probability of that and the row of the image; the surest mistakes come first. Most of them are
# hard for people too. With another seed, some of these are right and others are wrong.

MisclassifiedDisplay.from_estimator(model, test.data, test.target)
plt.show()
