"""
===========================
Digits and letters together
===========================

There are thousands of handwritten digits, but few letters. Two networks are trained together, one
for each; the filters of their first layer are the same. What does that do to the letters, with 5,
10, 20 and 30 images of each to learn from, and what to the digits?
"""

# %%
# Digits and letters
# ------------------
# The letters are the Binary Alphadigits, 39 of each; "O" is left out, since its images are those
# of "0". Where there is no network to fetch them, letters are drawn from a font. The last 9 of
# each are for testing.

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

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
digits, y_digits = X[:2000], y[:2000].astype(str)
X, y = fetch_usps(subset="test", return_X_y=True)
test_digits, y_test_digits = X, y.astype(str)
try:
    letters, y_letters = fetch_alphadigits(drop_o=True, image_shape=(16, 16), return_X_y=True)
except OSError:
    names = "ABCDEFGHIJKLMNPQRSTUVWXYZ"
    # Turned and slanted more than by default, or else there would be no errors to compare.
    letters, y_letters = make_letters(
        25 * 39, classes=names, rotation=45, shear=0.8, shuffle=False, random_state=0
    )
    order = np.argsort(y_letters, kind="stable")
    letters, y_letters = letters[order], y_letters[order]

number = np.arange(len(letters)) % 39  # of each letter among those of its class
test_letters, y_test_letters = letters[number >= 30], y_letters[number >= 30]

tiles = np.pad(letters.reshape(-1, 16, 16), [(0, 0), (1, 1), (1, 1)], constant_values=0.4)
sheet = np.block([[tiles[39 * row + i] for i in range(20)] for row in range(25)])
plt.figure(figsize=(6, 7.5), layout="constrained")
plt.imshow(sheet, cmap="gray")
plt.axis("off")
plt.title("The first 20 of each of 25 letters")

# %%
# Alone and together
# ------------------
# `task` says for each image which network it is for. The pipeline normalizes the pixels of both
# tasks; it takes metadata for a step by the name of the step. Alone, few letters need more epochs
# in smaller batches.


def errors(n_letters):
    """Test errors of both tasks in %, together and alone."""
    few, y_few = letters[number < n_letters], y_letters[number < n_letters]
    task = np.repeat(["digits", "letters"], [len(digits), len(few)])
    joint = make_pipeline(ImageNormalizer(), MultiTaskConvNetClassifier(random_state=0))
    joint.fit(
        np.vstack([digits, few]),
        np.concatenate([y_digits, y_few]),
        multitaskconvnetclassifier__task=task,
    )
    alone = make_pipeline(
        ImageNormalizer(), ConvNetClassifier(max_epochs=100, batch_size=32, random_state=0)
    ).fit(few, y_few)
    models[n_letters] = joint, alone
    return (
        100 * np.mean(joint.predict(test_letters, task="letters") != y_test_letters),
        100 * np.mean(alone.predict(test_letters) != y_test_letters),
        100 * np.mean(joint.predict(test_digits, task="digits") != y_test_digits),
    )


models = {}
digits_alone = make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=0))
digits_alone.fit(digits, y_digits)
error_digits_alone = 100 * (1 - digits_alone.score(test_digits, y_test_digits))

numbers = [5, 10, 20, 30]
letters_joint, letters_alone, digits_joint = zip(*map(errors, numbers), strict=True)
print(f"Digits alone: {error_digits_alone:.1f} % wrong")
for n, alone, joint, digits_too in zip(
    numbers, letters_alone, letters_joint, digits_joint, strict=True
):
    print(f"{n:2} of each letter: alone {alone:4.1f} %, joint {joint:4.1f} %", end="; ")
    print(f"the digits with them {digits_too:.1f} %")

# %%
# A point is one seed, and of 225 test letters a letter is 0.4 %: an error of 10 % is known to about
# 2 % (one standard error). Differences of this size between the curves, and a curve that crosses
# the other, may be chance. What is larger than chance is the gain from more letters. The user guide
# has the means over ten seeds, with all digits: there too, sharing the first layer changes little.

figure, ax = plt.subplots(layout="constrained")
ax.plot(numbers, letters_alone, "s--", color="#D55E00", label="letters alone")
ax.plot(numbers, letters_joint, "o-", color="#0072B2", label="letters, with 2,000 digits")
ax.set(
    xlabel="Images of each letter to learn from",
    ylabel="Test error (%)",
    xticks=numbers,
    ylim=(0, None),
    title="25 letters, 225 test images, seed 0",
)
ax.legend()

# %%
# The shared filters
# ------------------
# With 30 of each letter: the filters of the digits alone, those of the letters alone, and those
# that both share; and first, the random filters that all three started from, since they have the
# same seed.

start = clone(digits_alone).set_params(
    convnetclassifier__lr=1e-9, convnetclassifier__max_epochs=1
)  # a training that changes nothing
start.fit(digits[:100], y_digits[:100])
joint, alone = models[30]
titles = ["random start", "digits alone", "letters alone", "both"]
fitted = [start, digits_alone, alone, joint]
figure, axes = plt.subplots(1, 4, figsize=(14, 4), layout="constrained")
displays = [FilterDisplay.from_estimator(m, ax=ax) for m, ax in zip(fitted, axes, strict=True)]
for display, ax, title in zip(displays, axes, titles, strict=True):
    correlation = np.corrcoef(displays[0].filters.ravel(), display.filters.ravel())[0, 1]
    ax.set_title(
        f"{title}\ncorrelation with the start {correlation:.2f}" if ax is not axes[0] else title
    )
figure.suptitle("16 filters of 3 × 3, seed 0")
plt.show()

# %%
# All four look alike: training has moved the filters only a little from where they started. So the
# likeness does not mean that digits and letters need the same filters. Nearly any filters seem to
# do, and most of the learning is done by the layers above: sharing this one layer costs little and
# brings little.
