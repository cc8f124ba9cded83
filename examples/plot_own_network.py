"""
================
Your own network
================

Any :class:`torch.nn.Module` can be trained: here one with residual connections, searched as any
other parameter.
"""

# %%
# A network with residual connections
# -----------------------------------
# The constructor takes the shape of the images and the number of classes; `forward` takes images
# and returns scores. With `features`, the last hidden layer, there is a method `transform`. Given
# a keyword `generator`, a constructor can draw from the generator of the fit; this one doesn't,
# so torch's global generator is seeded while it is built and trained, and put back.

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps


class ResidualNetwork(nn.Module):
    def __init__(self, image_shape, n_classes, n_channels=16, n_blocks=2):
        super().__init__()
        self.first = nn.Conv2d(1, n_channels, 3, stride=2, padding=1)
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
        self.output = nn.Linear(n_channels, n_classes)

    def features(self, images):
        planes = self.first(images).relu()
        for block in self.blocks:
            planes = (planes + block(planes)).relu()
        return planes.mean((2, 3))

    def forward(self, images):
        return self.output(self.features(images))


# %%
# In a search
# -----------
# The parameters of its constructor are `network_params`.

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
# Two principal components of what the output layer gets. Each digit is a cloud of its own, mostly
# beside others. Where two overlap, the picture is not the proof of a confusion: the layer has 16
# dimensions, and the network may tell them apart in those that are not shown.

features = search.best_estimator_.transform(X_test)
components = PCA(2).fit_transform(features)
figure, ax = plt.subplots(layout="constrained", figsize=(6.4, 6))
for digit in range(10):
    of_digit = components[y_test == digit]
    ax.scatter(*of_digit.T, marker=f"${digit}$", s=40)
ax.set(
    xlabel="First principal component",
    ylabel="Second principal component",
    title=f"Hidden layer, {len(X_test):,} test images, trained on {len(X):,}, seed 0",
)
plt.show()
