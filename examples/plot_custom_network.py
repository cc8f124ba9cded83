"""
===============
Custom networks
===============

:class:`~sklearn_usps.ConvNetClassifier` trains any :class:`torch.nn.Module`. This example defines a
network with residual connections, searches for its depth, and plots its hidden layer.
"""

# %%
# A residual network
# ------------------
# The constructor takes the shape of the images and the number of classes; `forward` takes images
# and returns logits. An optional method `features` returns the last hidden layer and gives the
# classifier a method `transform`. A constructor with a keyword `generator` receives the random
# generator of the fit. This one has none, so `fit` seeds torch's global generator for as long as it
# runs. Each activation is a module of its own, so that libraries can explain predictions.

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps


class ResidualNetwork(nn.Module):
    def __init__(self, image_shape, n_classes, n_channels=16, n_blocks=2):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, n_channels, 3, stride=2, padding=1), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(n_channels, n_channels, 3, padding=1),
                nn.BatchNorm2d(n_channels),
                nn.ReLU(),
                nn.Conv2d(n_channels, n_channels, 3, padding=1),
                nn.BatchNorm2d(n_channels),
            )
            for _ in range(n_blocks)
        )
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(n_blocks))
        self.output = nn.Linear(n_channels, n_classes)

    def features(self, images):
        maps = self.first(images)
        for block, relu in zip(self.blocks, self.relus, strict=True):
            maps = relu(maps + block(maps))
        return maps.mean((2, 3))

    def forward(self, images):
        return self.output(self.features(images))


# %%
# Grid search
# -----------
# `network_params` holds the further arguments of the constructor, and a search treats it as any
# other parameter.

usps = fetch_usps(subset="train", shuffle=True)
X, y = usps.data[:3000], usps.target[:3000]
X_test, y_test = fetch_usps(subset="test", return_X_y=True)
model = make_pipeline(
    ImageNormalizer(), ConvNetClassifier(network=ResidualNetwork, max_epochs=8, random_state=0)
)
search = GridSearchCV(
    model, {"convnetclassifier__network_params": [{"n_blocks": n} for n in (1, 2)]}, cv=2
)
search.fit(X, y)
for params, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{params['convnetclassifier__network_params']}: error {1 - score:.1%} in two folds")
print(f"Test error of the best {1 - search.score(X_test, y_test):.1%}")

# %%
# The hidden layer
# ----------------
# `transform` returns the 16 values that the output layer receives. The figure shows their first two
# principal components. Most digits form a cluster of their own. Where two clusters overlap, the
# network may still separate them in the other dimensions.

features = search.best_estimator_.transform(X_test)
components = PCA(2).fit_transform(features)
figure, ax = plt.subplots(layout="constrained", figsize=(6.4, 6))
for digit in range(10):
    ax.scatter(*components[y_test == digit].T, marker=f"${digit}$", s=40)
ax.set(
    xlabel="First principal component",
    ylabel="Second principal component",
    title=f"Hidden layer, {len(X_test):,} test images, trained on {len(X):,}, seed 0",
)
plt.show()
