"""
=========================================
Multi-task learning of digits and letters
=========================================

Thousands of handwritten digits are available, but few letters. This example trains a network for
digits and a network for letters together, with a shared first layer, and compares both with
networks trained alone. The letters have 5, 10, 20 and 30 training images each.
"""

# %%
# The data
# --------
# The Binary Alphadigits have 39 images of each letter. The letter "O" is left out, because its
# images are also those of "0". The last 9 images of each letter are for testing. Without a network
# connection, this example draws letters from a font instead.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    FilterDisplay,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    fetch_alphadigits,
    fetch_usps,
    make_letters,
)

digits, y_digits = fetch_usps(subset="train", shuffle=True, return_X_y=True)
test_digits, y_test_digits = fetch_usps(subset="test", return_X_y=True)
digits, y_digits = digits[:2000], y_digits[:2000].astype(str)
y_test_digits = y_test_digits.astype(str)
try:
    letters, y_letters = fetch_alphadigits(drop_o=True, image_shape=(16, 16), return_X_y=True)
except OSError:
    # Rotated and sheared more than by default: otherwise there would be no errors to compare.
    letters, y_letters = make_letters(
        25 * 39, classes="ABCDEFGHIJKLMNPQRSTUVWXYZ", rotation=45, shear=0.8, random_state=0
    )
    order = np.argsort(y_letters, kind="stable")
    letters, y_letters = letters[order], y_letters[order]

number = np.arange(len(letters)) % 39  # of an image among those of its letter
test_letters, y_test_letters = letters[number >= 30], y_letters[number >= 30]

tiles = np.pad(letters.reshape(-1, 16, 16), [(0, 0), (1, 1), (1, 1)], constant_values=0.4)
plt.figure(figsize=(6, 7.5), layout="constrained")
plt.imshow(np.block([[tiles[39 * row + i] for i in range(20)] for row in range(25)]), cmap="gray")
plt.axis("off")
plt.title("The first 20 images of each of 25 letters")

# %%
# Training
# --------
# `task` names the task of each image. The pipeline passes it to the classifier under the name of
# the step, and normalizes the images of both tasks.

digits_alone = make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=0))
digits_alone.fit(digits, y_digits)
letters_alone, multi_task = {}, {}
for n in (10, 30):
    few, y_few = letters[number < n], y_letters[number < n]
    alone = make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=0))
    letters_alone[n] = alone.fit(few, y_few)
    classifier = MultiTaskConvNetClassifier(ConvNetClassifier(random_state=0), n_shared_layers=1)
    multi_task[n] = make_pipeline(ImageNormalizer(), classifier).fit(
        np.vstack([digits, few]),
        np.concatenate([y_digits, y_few]),
        multitaskconvnetclassifier__task=np.repeat(["digits", "letters"], [len(digits), len(few)]),
    )

# %%
# Test errors
# -----------


def errors(models, X, y, **params):
    """Return the test errors in % of the models for each number of letters."""
    return [100 * np.mean(model.predict(X, **params) != y) for model in models.values()]


alone = errors(letters_alone, test_letters, y_test_letters)
together = errors(multi_task, test_letters, y_test_letters, task="letters")
of_digits = errors(multi_task, test_digits, y_test_digits, task="digits")
print(f"Digits alone: {100 * (1 - digits_alone.score(test_digits, y_test_digits)):.1f} %")
for n, *row in zip(multi_task, alone, together, of_digits, strict=True):
    print(
        "{:2} images of each letter: letters alone {:4.1f} %, multi-task {:4.1f} %; "
        "digits, multi-task {:.1f} %".format(n, *row)
    )

figure, ax = plt.subplots(layout="constrained")
ax.plot(list(multi_task), alone, "s--", color="#D55E00", label="letters alone")
ax.plot(list(multi_task), together, "o-", color="#0072B2", label="with 2,000 digits")
ax.set(
    xlabel="Training images of each letter",
    ylabel="Test error of the letters (%)",
    xticks=list(multi_task),
    ylim=(0, None),
    title="25 letters, 225 test images, seed 0",
)
ax.legend()

# %%
# More letters reduce the error by more than chance. The difference between the curves may be
# chance: each point is one seed, and on 225 test images the standard error of an error of 10 % is 2
# percentage points. The user guide reports means over ten seeds with all digits. There, too,
# sharing the first layer changes the errors little.

# %%
# The shared filters
# ------------------
# The figure shows the filters of the first layer, with 30 images of each letter. The first panel
# shows the random filters from which the three others start, since their seed is the same.

start = clone(digits_alone).set_params(convnetclassifier__lr=1e-9, convnetclassifier__max_epochs=1)
start.fit(digits[:100], y_digits[:100])  # leaves the random weights unchanged
models = {
    "random start": start,
    "digits alone": digits_alone,
    "letters alone": letters_alone[30],
    "shared": multi_task[30],
}
figure, axes = plt.subplots(1, 4, figsize=(14, 4), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    filters = FilterDisplay.from_estimator(model, ax=ax).filters
    if name == "random start":
        first = filters
    correlation = np.corrcoef(first.ravel(), filters.ravel())[0, 1]
    ax.set_title(f"{name}\ncorrelation with the start {correlation:.2f}")
figure.suptitle("16 filters of 3 × 3, seed 0")
plt.show()

# %%
# The trained filters still resemble the random ones from which they start, so all four panels look
# alike. The likeness does not show that digits and letters need the same filters. The upper layers
# learn most of the task:
# sharing the first layer costs little and gains little.
