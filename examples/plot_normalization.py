"""
========================
Methods of normalization
========================

:class:`~sklearn_usps.ImageNormalizer` has four methods. This example shows the same digits after
each of them, as scanned and under other lighting, and compares the test errors of a network trained
on the scans.
"""

# %%
# Normalized digits
# -----------------
# The second image of each digit has 40 % of the ink, the third a shadow on one side. "global" and
# "pixel" keep these differences. "image" removes the first, and "contrast" reduces both. "pixel"
# and "contrast" also change the background, which leaves gray halos.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)

shadow = np.tile(np.linspace(1, 0.2, 16), 16)
lights = {"as scanned": 1.0, "40 % of the ink": 0.4, "shadow": shadow}
digits = [X[y == digit][0] for digit in (2, 3, 5)]
examples = np.array([digit * light for digit in digits for light in lights.values()])


def fitted_transform(method, X):
    """Return the transform of the method, fitted on X; "none" leaves images unchanged."""
    return np.asarray if method == "none" else ImageNormalizer(method=method).fit(X).transform


figure, axes = plt.subplots(5, 1, figsize=(8, 5.6), layout="constrained")
methods = ["none", "global", "pixel", "image", "contrast"]
for ax, method in zip(axes, methods, strict=True):
    images = fitted_transform(method, X)(examples)
    ax.imshow(np.hstack(images.reshape(-1, 16, 16)), cmap="gray")
    ax.set_axis_off()
    ax.set_title(f"{method}: values from {images.min():.1f} to {images.max():.1f}", fontsize=10)

# %%
# Test errors
# -----------
# The network of the luacnn demo has no normalization layers. It is trained on 2,000 digits as
# scanned and tested on the test images under each lighting.

seeds = [0, 1, 2]


def errors(transform, seed):
    """Return the test errors in %, one for each lighting."""
    classifier = ConvNetClassifier(
        network="luacnn",
        optimizer="adamw",
        lr=0.01,
        max_epochs=10,
        batch_size=32,
        augmentation=None,
        random_state=seed,
    ).fit(transform(X[:2000]), y[:2000])
    return [
        100 * (1 - classifier.score(transform(X_test * light), y_test)) for light in lights.values()
    ]


figure, ax = plt.subplots(layout="constrained")
styles = dict(zip(lights, [("k", "o"), ("#0072B2", "s"), ("#D55E00", "^")], strict=True))
print(f"{'':9}" + "".join(f"{light:>17}" for light in lights))
for i, method in enumerate(methods):
    transform = fitted_transform(method, X[:2000])
    by_seed = np.array([errors(transform, seed) for seed in seeds])
    print(f"{method:9}" + "".join(f"{error:15.1f} %" for error in by_seed.mean(axis=0)))
    for (light, (color, marker)), of_light in zip(styles.items(), by_seed.T, strict=True):
        label = light if i == 0 else None
        ax.plot([i] * len(seeds), of_light, marker, color=color, fillstyle="none", label=label)
ax.set(
    xticks=range(len(methods)),
    xticklabels=methods,
    ylabel="Test error (%)",
    ylim=(0, None),
    title="Trained on 2,000 digits as scanned; 1,000 test images, seeds 0 to 2",
)
ax.legend(title="Test images")

# %%
# On images as scanned (circles), no method improves this network, and "contrast" makes it slightly
# worse: USPS digits are clean and evenly lit. Under other lighting the methods differ. With less
# ink, the errors of "image" and "contrast" do not change. With a shadow, "contrast" loses least.
# "global" and "pixel" transform all images alike, so they help with neither and here increase the
# error.
#
# All four methods bring pixels to one scale, so that the same learning rates suit bytes up to 255
# and floats up to 1. After a normalizer fitted on either, the images are the same:

normalized = ImageNormalizer().fit_transform(X)
from_bytes = ImageNormalizer().fit_transform(255 * X)
print(f"Largest difference after normalization: {abs(normalized - from_bytes).max():.0e}")
plt.show()
