"""
=======================================
Model selection with a validation split
=======================================

A search over five folds takes five fits per candidate. With the predefined split of
:func:`~sklearn_usps.fetch_usps` it takes one.
"""

# %%
# The search
# ----------
# `validation_split` is a cross-validator with a single fold that holds out the last 10 % of each
# digit. Pass it as `cv` to any search. This example passes every fourth of its training images, to
# save time.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps

usps = fetch_usps(subset="train")
((train, valid),) = usps.validation_split.split()
print(f"{len(train):,} training images, {len(valid):,} validation images")
few = np.random.default_rng(0).permutation(train)[::4]

methods = ["global", "contrast"]
rates = [0.002, 0.006, 0.02, 0.06, 0.2]
model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=5, random_state=0))
search = GridSearchCV(
    model,
    {"imagenormalizer__method": methods, "convnetclassifier__lr": rates},
    cv=[(few, valid)],
    refit=False,
)
search.fit(usps.data, usps.target)

# %%
# Validation errors
# -----------------
# Each point is one fit. The lowest errors lie at the middle rates. On 1,000 images, the standard
# error of an error of 2 % is about 0.4 percentage points, so this split cannot separate the best
# candidates; that takes cross-validation or more seeds.

errors = 100 * (1 - search.cv_results_["mean_test_score"].reshape(len(rates), len(methods)))
figure, ax = plt.subplots(layout="constrained")
for i, (style, color) in enumerate([("o-", "#0072B2"), ("s--", "#D55E00")]):
    ax.plot(rates, errors[:, i], style, color=color, label=methods[i])
ax.set(
    xscale="log",
    xticks=rates,
    xticklabels=rates,
    xlabel="lr",
    ylabel="Validation error (%)",
    ylim=(0, None),
    title=f"{len(few):,} images, 5 epochs, {len(valid):,} validation images, seed 0",
)
ax.minorticks_off()
ax.legend(title="ImageNormalizer")

# %%
# Test error
# ----------
# The validation error of the best candidate is a little optimistic, since it chose the candidate.
# For an unbiased estimate, train the best candidate on all training images and test it on images
# that had no part in the choice.

model.set_params(**search.best_params_, convnetclassifier__max_epochs=10)
model.fit(usps.data, usps.target)
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
print(f"{search.best_params_}")
print(f"Test error {1 - model.score(X_test, y_test):.2%}")
plt.show()
