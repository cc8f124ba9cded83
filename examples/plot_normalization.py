"""
====================================
Four normalizations, and what for
====================================

The same digits after each method of :class:`~sklearn_usps.ImageNormalizer`, as they were scanned
and with other light; and what a forgotten or mismatched scale does to a network.
"""

# %%
# What each method does
# ---------------------
# The second image of each digit was made darker, the third has a shadow on one side. "global" and
# "pixel" keep the differences, "image" takes away the first, "contrast" both.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)

digits = np.array([X[y == digit][0] for digit in (2, 3, 5)]).reshape(-1, 16, 16)
shadow = np.tile(np.linspace(1, 0.2, 16), (16, 1))
light = np.stack([np.ones((16, 16)), np.full((16, 16), 0.4), shadow])
scanned = (digits[:, None] * light).reshape(-1, 256)

figure, axes = plt.subplots(5, 1, figsize=(8, 5.6), layout="constrained")
methods = ["as it is", "global", "pixel", "image", "contrast"]
for ax, method in zip(axes, methods, strict=True):
    images = scanned
    if method != "as it is":
        images = ImageNormalizer(method=method).fit(X).transform(scanned)
    ax.imshow(np.hstack(images.reshape(-1, 16, 16)), cmap="gray")
    ax.set_axis_off()
    ax.set_title(f"{method}: values from {images.min():.1f} to {images.max():.1f}", fontsize=10)

# %%
# Why
# ---
# A network with nothing that normalizes inside, that of the original demo, on 2,000 digits whose
# pixels come as floats in [0, 1], as bytes in [0, 255], or normalized.


def error(transform):
    classifier = ConvNetClassifier(
        network="torch7", optimizer="sgd", lr=0.01, max_epochs=10, batch_size=16, random_state=0
    )
    try:
        classifier.fit(transform(X[:2000]), y[:2000])
    except ValueError as problem:
        return f"no fit: {problem}"
    return f"test error {1 - classifier.score(transform(X_test), y_test):.1%}"


print("in [0, 1]:    ", error(lambda images: images))
print("in [0, 255]:  ", error(lambda images: 255 * images))
for method in methods[1:]:
    normalizer = ImageNormalizer(method=method).fit(X[:2000])
    print(f"{method + ':':14}", error(normalizer.transform))
plt.show()
