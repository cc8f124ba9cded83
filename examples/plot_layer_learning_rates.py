"""
========================
Per-layer learning rates
========================

The author of the luacnn demo suggests learning rates that depend on the number of inputs of a unit.
Two published rules do this, in opposite directions. This example compares them with one rate for
all layers.
"""

# %%
# Three rules, six rates
# ----------------------
# The parameter `lr_scaling` sets the rule. "fan-in" divides the learning rate of a layer by the
# number of inputs of its units. "efficient-backprop" multiplies it by the square root of this
# number or, where weights are shared, of the number of connections that share a weight. Both rules
# keep the geometric mean over the layers at `lr`.
#
# The best `lr` differs from rule to rule, so each rule is tried at six rates. The demo's network is
# trained by plain gradient descent; :class:`~sklearn_usps.BatchedGridSearchCV` trains the eighteen
# networks of a seed together.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import BatchedGridSearchCV, ConvNetClassifier, ImageNormalizer, fetch_usps

usps = fetch_usps(subset="train")
((train, valid),) = usps.validation_split.split()
train = np.random.default_rng(0).permutation(train)[:2000]
X = ImageNormalizer().fit(usps.data[train]).transform(usps.data)

scalings = ["none", "fan-in", "efficient-backprop"]
rates = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]


def validation_errors(seed):
    """Return the validation errors in %, of shape (n_scalings, n_rates)."""
    classifier = ConvNetClassifier(
        network="luacnn",
        optimizer="sgd",
        momentum=0.0,
        lr_schedule="constant",
        batch_size=8,
        max_epochs=8,
        augmentation=None,
        label_smoothing=0.0,
        random_state=seed,
    )
    grid = [{"lr_scaling": [scaling], "lr": rates} for scaling in scalings]
    search = BatchedGridSearchCV(classifier, grid, cv=[(train, valid)], refit=False)
    search.fit(X, usps.target)
    return 100 * (1 - search.cv_results_["mean_test_score"].reshape(len(scalings), len(rates)))


errors = np.array([validation_errors(seed) for seed in range(3)])
figure, ax = plt.subplots(layout="constrained")
for i, (color, style) in enumerate([("k", "o-"), ("#D55E00", "s--"), ("#0072B2", "^-.")]):
    of_seeds = errors[:, i]
    mean = of_seeds.mean(axis=0)
    ax.plot(rates, mean, style, color=color, label=scalings[i])
    ax.fill_between(rates, of_seeds.min(axis=0), of_seeds.max(axis=0), color=color, alpha=0.15)
    best = mean.argmin()
    print(f"{scalings[i]:18} best at lr={rates[best]}: {mean[best]:.1f} %, seeds ", end="")
    print(" ".join(f"{error:.1f}" for error in of_seeds[:, best]))
ax.set(
    xscale="log",
    xticks=rates,
    xticklabels=rates,
    xlabel="lr",
    ylabel="Validation error (%)",
    ylim=(0, None),
    title="2,000 digits, 8 epochs; mean and range of seeds 0 to 2",
)
ax.minorticks_off()
ax.legend(title="lr_scaling")
plt.show()

# %%
# "fan-in" gives the smallest rate to the output layer, which has the most inputs, and needs a
# higher `lr`: its curve lies farther to the right. "efficient-backprop" gives that layer the
# largest rate, and its error is the first to rise when `lr` is high. Each at its best `lr`, the
# three rules differ by no more than the seeds do. On a network as small as this, neither rule
# replaces a search for `lr`. The page on published experiments reports both rules with the demo's
# full training.
