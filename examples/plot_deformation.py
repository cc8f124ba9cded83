"""
=========================================
Data augmentation with random deformation
=========================================

:class:`~sklearn_usps.ConvNetClassifier` deforms the training images anew in every epoch. This
example shows the deformed images and measures the effect on the test error with 100, 300 and 1,000
training images.
"""

# %%
# Deformed digits
# ---------------
# :class:`~sklearn_usps.RandomDeformation` rotates, scales, shears, shifts and bends each image a
# little. Every digit remains readable.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import ConvNetClassifier, DeformationDisplay, RandomDeformation, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
digits = np.array([X[y == digit][0] for digit in (1, 2, 4, 7, 9)])
DeformationDisplay.from_estimator(RandomDeformation(), digits, random_state=0)

# %%
# Too strong a deformation turns some digits into other digits and makes others unreadable.

strong = RandomDeformation(rotation=60, scale=0.4, shear=0.8, elastic_displacement=0.14)
display = DeformationDisplay.from_estimator(strong, digits, random_state=0)
display.ax_.set_title("Too strong")

# %%
# Effect on the test error
# ------------------------
# The same network is trained with and without augmentation, each with three seeds. Circles are
# seeds, lines are their means.

n_images = [100, 300, 1000]


def error(n, augmentation, seed):
    """Return the test error in %."""
    classifier = ConvNetClassifier(
        augmentation=augmentation, max_epochs=20, batch_size=32, random_state=seed
    ).fit(X[:n], y[:n])
    return 100 * (1 - classifier.score(X_test, y_test))


figure, ax = plt.subplots(layout="constrained")
for name, augmentation, style, color in [
    ("no augmentation", None, "--", "#D55E00"),
    ("random deformation", "default", "-", "#0072B2"),
]:
    errors = np.array([[error(n, augmentation, seed) for n in n_images] for seed in range(3)])
    ax.plot(n_images, errors.mean(axis=0), style, color=color, label=name)
    ax.plot(n_images, errors.T, "o", color=color, fillstyle="none")
    print(f"{name}: " + ", ".join(f"{mean:.1f} %" for mean in errors.mean(axis=0)))
ax.set(
    xscale="log",
    xticks=n_images,
    xticklabels=[f"{n:,}" for n in n_images],
    xlabel="Training images",
    ylabel="Test error (%)",
    ylim=(0, None),
    title="20 epochs in batches of 32, 1,000 test images, seeds 0 to 2",
)
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# The fewer images, the larger the gain. With 1,000 images, which already show many ways to write
# each digit, the circles of the two lines overlap: a single seed could suggest the opposite.
