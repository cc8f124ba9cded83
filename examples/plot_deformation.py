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

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import ConvNetClassifier, DeformationDisplay, RandomDeformer, fetch_usps

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
some = np.array([X[y == digit][0] for digit in (1, 2, 4, 7, 9)])
DeformationDisplay.from_estimator(RandomDeformer(), some, random_state=0)

# %%
# Too much of it makes other digits, or none.

display = DeformationDisplay.from_estimator(
    RandomDeformer(rotation=60, scale=0.4, shear=0.8, elastic_alpha=40), some, random_state=0
)
display.ax_.set_title("Too much")

# %%
# What it brings
# --------------

numbers = [100, 300, 1000]
figure, ax = plt.subplots(layout="constrained")
for name, deformer, style, color in [
    ("as they are", None, "s--", "#D55E00"),
    ("deformed", "default", "o-", "#0072B2"),
]:
    errors = [
        100
        * np.mean(
            ConvNetClassifier(deformer=deformer, max_epochs=20, batch_size=32, random_state=0)
            .fit(X[:n], y[:n])
            .predict(X_test)
            != y_test
        )
        for n in numbers
    ]
    ax.plot(numbers, errors, style, color=color, label=name)
    print(f"{name}: " + ", ".join(f"{error:.1f} %" for error in errors))
ax.set(
    xscale="log",
    xticks=numbers,
    xticklabels=[f"{n:,}" for n in numbers],
    xlabel="Training images",
    ylabel="Test error (%)",
    ylim=(0, None),
    title="20 epochs in batches of 32, 1,000 test images, seed 0",
)
ax.minorticks_off()
ax.legend()
plt.show()
