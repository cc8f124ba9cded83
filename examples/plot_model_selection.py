"""
=========================================
Model selection with the validation split
=========================================

:func:`~sklearn_usps.fetch_usps` brings along a ready split of the training images for searches that
should take one fit a candidate, not five.
"""

# %%
# One split, in any search
# ------------------------
# `validation_split` holds out the last 10 % of each digit. It is a cross-validator of one fold,
# and goes wherever scikit-learn takes `cv`. Here every fourth image, to save time.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps

usps = fetch_usps(subset="train")
((train, valid),) = usps.validation_split.split()
print(f"{len(train):,} images to train on, {len(valid):,} to validate")
few = np.random.default_rng(0).permutation(train)[::4]

model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=5, random_state=0))
search = GridSearchCV(
    model,
    {
        "imagenormalizer__method": ["global", "contrast"],
        "convnetclassifier__lr": [0.002, 0.006, 0.02, 0.06, 0.2],
    },
    cv=[(few, valid)],
    refit=False,
)
search.fit(usps.data, usps.target)

# %%
# What it found
# -------------
# Each point is one fit. The best is where both curves have come down and not gone up again. Of
# 1,000 images, an error of 2 % is known to about 0.4 % (one standard error), so that candidates
# this close can't be told apart by the split; cross-validation, or more seeds, would be needed.

errors = 100 * (1 - search.cv_results_["mean_test_score"].reshape(-1, 2))
figure, ax = plt.subplots(layout="constrained")
for column, (method, style) in enumerate([("global", "o-"), ("contrast", "s--")]):
    color = ["#0072B2", "#D55E00"][column]
    ax.plot([0.002, 0.006, 0.02, 0.06, 0.2], errors[:, column], style, color=color, label=method)
ax.set(
    xscale="log",
    xticks=[0.002, 0.006, 0.02, 0.06, 0.2],
    xticklabels=[0.002, 0.006, 0.02, 0.06, 0.2],
    xlabel="lr",
    ylabel="Validation error (%)",
    ylim=(0, None),
    title=f"{len(few):,} images, 5 epochs, {len(valid):,} to validate, seed 0",
)
ax.minorticks_off()
ax.legend(title="ImageNormalizer")

# %%
# The best candidate, with all training images and ten epochs, on images that had no part in the
# choice: an honest figure, where the error of the best candidate above is a little optimistic.

model.set_params(**search.best_params_, convnetclassifier__max_epochs=10)
model.fit(usps.data, usps.target)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
print(f"{search.best_params_}")
print(f"Test error {1 - model.score(X_test, y_test):.2%}")
plt.show()
