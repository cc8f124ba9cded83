"""
=================================================
A learning rate that depends on a unit's inputs
=================================================

The author of the original demo wished for learning rates that depend on how many inputs a neuron
has. There are two rules, which contradict each other. Do they help?
"""

# %%
# Three ways to share out a rate
# ------------------------------
# `lr_scaling` divides the rate of each layer by the number of inputs of its units, "fan-in", or
# multiplies it by the square root of the number of inputs, or of connections that share a weight,
# "efficient-backprop". The factors have a geometric mean of one. The network is that of the demo,
# trained by plain gradient descent.
#
# At one and the same `lr` one rule could win only because its output layer gets the larger rate,
# so each is tried at six rates. The eighteen networks of a seed are trained at once.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import BatchedGridSearchCV, ConvNetClassifier, ImageNormalizer, fetch_usps

usps = fetch_usps(subset="train")
((train, valid),) = usps.validation_split.split()
train = np.random.default_rng(0).permutation(train)[:2000]
X = ImageNormalizer().fit(usps.data[train]).transform(usps.data)

scalings = ["none", "fan-in", "efficient-backprop"]
rates = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]


def errors(seed):
    """Validation errors in %, a row for each way and a column for each rate."""
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


seen = np.array([errors(seed) for seed in range(3)])
figure, ax = plt.subplots(layout="constrained")
for i, (color, style) in enumerate([("k", "o-"), ("#D55E00", "s--"), ("#0072B2", "^-.")]):
    mean = seen[:, i].mean(axis=0)
    ax.plot(rates, mean, style, color=color, label=scalings[i])
    ax.fill_between(
        rates, seen[:, i].min(axis=0), seen[:, i].max(axis=0), color=color, alpha=0.15, lw=0
    )
    best = mean.argmin()
    print(f"{scalings[i]:18} best at lr={rates[best]}: {mean[best]:.1f} %, seeds ", end="")
    print(" ".join(f"{error:.1f}" for error in seen[:, i, best]))
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
# The curve of "fan-in" lies farther to the right: its output layer, which has the most inputs, gets
# the smallest rate, so that the network needs a higher `lr`. "efficient-backprop" gives that layer
# the largest rate and is the first to suffer when `lr` is high. At the best `lr` of each, the three
# are about as good as the seeds can tell. On a network as small as this, neither rule replaces
# a search for `lr`. The page on published experiments has the figures of the demo's full training.
