"""
=================================================
A learning rate that depends on a unit's inputs
=================================================

The author of the original demo wished for learning rates that depend on how many inputs a neuron
has. There are two rules, which contradict each other.
"""

# %%
# Three ways to share out a rate
# ------------------------------
# `lr_scaling` divides the rate of each layer by the number of inputs of its units, "fan-in", or
# multiplies it by the square root of the number of inputs, or of connections that share a weight,
# "efficient-backprop". The factors have a geometric mean of one. The network is that of the demo,
# trained by plain gradient descent.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps

usps = fetch_usps(subset="train")
((train, valid),) = usps.validation_split.split()
train = np.random.default_rng(0).permutation(train)[:3000]
X = ImageNormalizer().fit(usps.data[train]).transform(usps.data)
y = usps.target

COLORS = {"none": "#000000", "fan-in": "#D55E00", "efficient-backprop": "#0072B2"}
STYLES = {"none": "-", "fan-in": "--", "efficient-backprop": "-."}


def curve(lr_scaling, seed):
    """Validation errors after each epoch, in %."""
    classifier = ConvNetClassifier(
        network="torch7",
        optimizer="sgd",
        lr=0.02,
        momentum=0.0,
        lr_schedule="constant",
        lr_scaling=lr_scaling,
        batch_size=8,
        max_epochs=8,
        deformer=None,
        label_smoothing=0.0,
        random_state=seed,
    ).fit(X[train], y[train], X_val=X[valid], y_val=y[valid])
    return [100 * epoch["valid_error"] for epoch in classifier.history_]


figure, ax = plt.subplots(layout="constrained")
for lr_scaling in COLORS:
    curves = np.array([curve(lr_scaling, seed) for seed in range(3)])
    epochs = np.arange(1, 1 + curves.shape[1])
    color, style = COLORS[lr_scaling], STYLES[lr_scaling]
    ax.plot(epochs, curves.mean(axis=0), style, color=color, label=f'lr_scaling="{lr_scaling}"')
    ax.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.15, lw=0)
    print(f"{lr_scaling:18} {curves[:, -1].mean():.1f} % after {len(epochs)} epochs")
ax.set(
    xlabel="Epoch",
    ylabel="Validation error (%)",
    ylim=(0, None),
    title="3,000 digits in batches of 8; mean and range of seeds 0 to 2",
)
ax.legend()
plt.show()

# %%
# At one and the same `lr` the rules differ by what they give to which layer; each has a best `lr`
# of its own. The page on published experiments has the figures of the demo's full training, where
# none of the differences in the final error is larger than that between seeds.
