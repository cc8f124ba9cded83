"""
===============================
Batched grid search of 100 fits
===============================

Find the learning rate and the weight decay for the network of the luacnn demo. Twenty candidates in
five folds are 100 fits; the twenty networks of a fold are trained together.
"""

# %%
# The search
# ----------
# :class:`~sklearn_usps.BatchedGridSearchCV` is used like scikit-learn's
# :class:`~sklearn.model_selection.GridSearchCV`, and gives the same results in less time.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from sklearn_usps import BatchedGridSearchCV, ConvNetClassifier, ImageNormalizer, fetch_usps

X, y = fetch_usps(subset="train", return_X_y=True)
classifier = ConvNetClassifier(
    network="luacnn",
    optimizer="adamw",
    max_epochs=5,
    batch_size=64,
    augmentation=None,
    random_state=0,
)
rates = [0.001, 0.003, 0.01, 0.03, 0.1]
decays = [0.0, 0.01, 0.1, 1.0]
search = BatchedGridSearchCV(
    make_pipeline(ImageNormalizer(), classifier),
    {"convnetclassifier__lr": rates, "convnetclassifier__weight_decay": decays},
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    verbose=1,
)
start = time.perf_counter()
search.fit(X, y)
print(f"{5 * len(rates) * len(decays)} fits in {time.perf_counter() - start:.0f} s")

# %%
# Cross-validation errors
# -----------------------
# The figure shows means over the folds. The learning rate matters most: five epochs are too few for
# the smallest rates. Weight decay helps at the largest rate; at the others it hardly matters unless
# it is strong. Neighbors that differ by less than the standard deviation between the folds (printed
# for the best) are equally good.

errors = 100 * (1 - search.cv_results_["mean_test_score"].reshape(len(rates), len(decays)))
spread = 100 * search.cv_results_["std_test_score"][search.best_index_]
print(f"Best: {search.best_params_}, {errors.min():.1f} %, between folds ± {spread:.1f} %")
figure, ax = plt.subplots(layout="constrained")
image = ax.imshow(errors, cmap="viridis_r", norm="log")
for (row, column), error in np.ndenumerate(errors):
    is_dark = image.norm(error) > 0.5
    ax.text(column, row, f"{error:.1f}", ha="center", va="center", color="w" if is_dark else "k")
ax.set(
    xlabel="weight_decay",
    ylabel="lr",
    xticks=range(len(decays)),
    yticks=range(len(rates)),
    xticklabels=decays,
    yticklabels=rates,
    title="Five-fold error in %: 10,000 digits, 5 epochs, seed 0",
)
plt.show()
