"""
=====================================
More images than there are
=====================================

In each epoch every training image is deformed anew. What does that look like, and what does it
bring with 100, 300 and 1,000 images?
"""

# %%
# Deformed digits
# ---------------
# Turned, stretched, slanted, shifted and bent a little. All can still be read as what they were.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import ConvNetClassifier, DeformationDisplay, RandomDeformation, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
some = np.array([X[y == digit][0] for digit in (1, 2, 4, 7, 9)])
DeformationDisplay.from_estimator(RandomDeformation(), some, random_state=0)

# %%
# Too much of it makes other digits, or none.

display = DeformationDisplay.from_estimator(
    RandomDeformation(rotation=60, scale=0.4, shear=0.8, elastic_alpha=40), some, random_state=0
)
display.ax_.set_title("Too much")

# %%
# What it brings
# --------------
# The same network with and without deformation. A circle is one of three seeds, the line their
# mean.

numbers = [100, 300, 1000]


def error(n, augmentation, seed):
    """Test error in %."""
    classifier = ConvNetClassifier(
        augmentation=augmentation, max_epochs=20, batch_size=32, random_state=seed
    ).fit(X[:n], y[:n])
    return 100 * (1 - classifier.score(X_test, y_test))


figure, ax = plt.subplots(layout="constrained")
for name, augmentation, style, color in [
    ("as they are", None, "--", "#D55E00"),
    ("deformed", "default", "-", "#0072B2"),
]:
    errors = np.array([[error(n, augmentation, seed) for n in numbers] for seed in range(3)])
    ax.plot(numbers, errors.mean(axis=0), style, color=color, label=name)
    ax.plot(numbers, errors.T, "o", color=color, fillstyle="none")
    print(f"{name}: " + ", ".join(f"{mean:.1f} %" for mean in errors.mean(axis=0)))
ax.set(
    xscale="log",
    xticks=numbers,
    xticklabels=[f"{n:,}" for n in numbers],
    xlabel="Training images",
    ylabel="Test error (%)",
    ylim=(0, None),
    title="20 epochs in batches of 32, 1,000 test images, seeds 0 to 2",
)
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# With few images the gain is largest: the circles of the two lines lie apart. With 1,000 they meet,
# and one seed alone could say the opposite: there are already many ways to write each digit among
# so many images.
