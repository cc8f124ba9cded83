"""
=======================
Recognizing USPS digits
=======================

Fetch the handwritten digits, train a convolutional network, and look at the test images that it
misclassifies.
"""

# %%
# The digits
# ----------
# The images are sorted by digit. The figure shows 20 of each.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, MisclassifiedDisplay, fetch_usps

train = fetch_usps(subset="train")
test = fetch_usps(subset="test")

rows = [np.hstack(train.images[train.target == digit][:20]) for digit in range(10)]
plt.figure(figsize=(8, 4))
plt.imshow(np.vstack(rows), cmap="gray")
plt.axis("off")
plt.title("USPS digits, version roweis: the first 20 of each digit")

# %%
# Training
# --------
# The network goes into a scikit-learn pipeline. With `early_stopping`, `fit` holds out a tenth of
# the training images and keeps the weights of the epoch with the smallest loss on them.

model = make_pipeline(ImageNormalizer(), ConvNetClassifier(early_stopping=True, random_state=0))
model.fit(train.data, train.target)
print(f"Test error {1 - model.score(test.data, test.target):.1%}")

# %%
# Misclassified images
# --------------------
# Below each image are its label, the predicted digit, the probability of the prediction and the
# image's row in the data. The most confident mistakes come first. Most of these digits are hard for
# people too. Another seed misclassifies partly other images.

MisclassifiedDisplay.from_estimator(model, test.data, test.target)
plt.show()
