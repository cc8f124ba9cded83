"""
====================================
Four normalizations, and what for
====================================

The same digits after each method of :class:`~sklearn_usps.ImageNormalizer`, as they were scanned
and with other light; and what a network that was trained on the scans makes of the others.
"""

# %%
# What each method does
# ---------------------
# The second image of each digit has 40 % of the ink, the third has a shadow on one side. "global"
# and "pixel" keep the differences. "image" takes away the first, and "contrast" most of both. The
# grey halos are the price: "pixel" and "contrast" make something of the background too.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)

shadow = np.tile(np.linspace(1, 0.2, 16), 16)
lights = {"as scanned": 1.0, "40 % of the ink": 0.4, "a shadow": shadow}
digits = [X[y == digit][0] for digit in (2, 3, 5)]
examples = np.array([digit * light for digit in digits for light in lights.values()])

figure, axes = plt.subplots(5, 1, figsize=(8, 5.6), layout="constrained")
methods = ["as it is", "global", "pixel", "image", "contrast"]
for ax, method in zip(axes, methods, strict=True):
    images = examples
    if method != "as it is":
        images = ImageNormalizer(method=method).fit(X).transform(examples)
    ax.imshow(np.hstack(images.reshape(-1, 16, 16)), cmap="gray")
    ax.set_axis_off()
    ax.set_title(f"{method}: values from {images.min():.1f} to {images.max():.1f}", fontsize=10)

# %%
# What for
# --------
# The network of the original demo, which normalizes nothing by itself, learns from 2,000 digits as
# they were scanned. Then it reads the test images as they were scanned, and with other light.

seeds = [0, 1, 2]


def errors(transform, seed):
    """Test errors in %, one for each light."""
    classifier = ConvNetClassifier(
        network="luacnn",
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
print(f"{'':9}" + "".join(f"{light:>17}" for light in lights))
for i, method in enumerate(methods):
    transform = np.asarray
    if method != "as it is":
        transform = ImageNormalizer(method=method).fit(X[:2000]).transform
    seen = np.array([errors(transform, seed) for seed in seeds])
    print(f"{method:9}" + "".join(f"{error:15.1f} %" for error in seen.mean(axis=0)))
    for of_light, color, marker in zip(seen.T, ["k", "#0072B2", "#D55E00"], "os^", strict=True):
        ax.plot([i] * len(seeds), of_light, marker, color=color, fillstyle="none")
for light, color, marker in zip(lights, ["k", "#0072B2", "#D55E00"], "os^", strict=True):
    ax.plot([], [], marker, color=color, fillstyle="none", label=light)
ax.set(
    xticks=range(len(methods)),
    xticklabels=methods,
    ylabel="Test error (%)",
    ylim=(0, None),
    title="Trained on 2,000 digits as scanned; 1,000 test images, seeds 0 to 2",
)
ax.legend(title="Test images")

# %%
# On images like those of training (circles) no method helps this network, and "contrast" loses
# something: USPS digits are clean and evenly lit. The methods differ on images that are lit
# otherwise. Paler ink leaves "image" and "contrast" where they were; "contrast" suffers least from
# a shadow. "global" and "pixel" treat all images alike: they help against neither, and here the
# network that was trained on what they make of the scans is even more easily misled.
#
# What all four do is to bring pixels to one scale, so that the same learning rates suit them: in
# bytes up to 255 or in floats up to 1, a normalizer that was fitted on them makes them the same.

normalized = ImageNormalizer().fit_transform(X)
from_bytes = ImageNormalizer().fit_transform(255 * X)
print(f"Largest difference after normalization: {abs(normalized - from_bytes).max():.0e}")
plt.show()
