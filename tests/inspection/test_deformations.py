"""The grid of deformed images."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_usps import (
    ConvNetClassifier,
    DeformationDisplay,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((7, 64), dtype=np.float32)


def brighten(images, generator):
    """An augmentation that adds another random number to each image."""
    return images + torch.rand(len(images), 1, 1, 1, generator=generator)


def test_draws_each_image_and_its_deformations(images):
    display = DeformationDisplay.from_estimator(brighten, images, n_deformations=3, random_state=0)
    assert display.images.shape == (5, 8, 8)
    assert display.deformed.shape == (5, 3, 8, 8)
    np.testing.assert_array_equal(display.images.reshape(5, 64), images[:5])
    added = display.deformed - display.images[:, None]
    np.testing.assert_allclose(np.ptp(added, axis=(2, 3)), 0, atol=1e-6)
    assert len(np.unique(added[:, :, 0, 0])) == 15
    grid = display.image_.get_array()
    np.testing.assert_array_equal(grid[9:17, :8], display.images[1])
    for at, left in enumerate([10, 19, 28]):
        np.testing.assert_array_equal(grid[9:17, left : left + 8], display.deformed[1, at])
    assert display.image_.get_clim() == (display.images.min(), display.images.max())
    assert display.ax_.get_title() == "Random deformations of 5 images, seed 0"
    texts = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert texts == ["original", "3 times deformed"]


def test_random_state_determines_the_deformations(images):
    first, again, other = (
        DeformationDisplay.from_estimator(RandomDeformation(), images, random_state=seed).deformed
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_augmentation_of_a_classifier(images):
    params = {"max_images": 2, "random_state": 0}
    alone = DeformationDisplay.from_estimator(RandomDeformation(), images, **params)
    for model in (ConvNetClassifier(), make_pipeline(ImageNormalizer(), ConvNetClassifier())):
        display = DeformationDisplay.from_estimator(model, images, **params)
        np.testing.assert_array_equal(display.deformed, alone.deformed)
    own = ConvNetClassifier(augmentation=brighten)
    for model in (own, MultiTaskConvNetClassifier(own)):
        assert DeformationDisplay.from_estimator(model, images, **params).deformed.max() > 1
    with pytest.raises(ValueError, match="ConvNetClassifier has augmentation=None"):
        DeformationDisplay.from_estimator(ConvNetClassifier(augmentation=None), images)
    with pytest.raises(ValueError, match="estimator must be an augmentation or a classifier with"):
        DeformationDisplay.from_estimator(ImageNormalizer(), images)


def test_image_shape_axes_and_frame(images):
    _, ax = plt.subplots()
    display = DeformationDisplay.from_estimator(
        brighten, images, n_deformations=2, max_images=3, image_shape=(4, 16), ax=ax
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.deformed.shape == (3, 2, 4, 16)
    frame = display.frame()
    assert frame.shape == (9, 66)
    assert frame["deformation"].tolist() == [0, 1, 2] * 3
    last = frame[(frame["image"] == 2) & (frame["deformation"] == 1)]
    assert last["pixel_3_15"].item() == display.deformed[2, 0, 3, 15]
    one = DeformationDisplay.from_estimator(brighten, images[:1].reshape(1, 8, 8))
    assert one.ax_.get_title() == "Random deformations of 1 image"
    with pytest.raises(ValueError, match="The 'n_deformations' parameter"):
        DeformationDisplay.from_estimator(brighten, images, n_deformations=0)


def test_image_shape_of_a_fitted_classifier(images):
    classifier = ConvNetClassifier(network="luacnn", image_shape=(4, 16), max_epochs=1)
    classifier.fit(images, np.arange(7) % 2)
    assert DeformationDisplay.from_estimator(classifier, images).images.shape == (5, 4, 16)

    def upsample(X):
        return np.kron(X.reshape(-1, 8, 8), np.ones((2, 2))).reshape(-1, 256)

    model = make_pipeline(
        FunctionTransformer(upsample), ConvNetClassifier(network="luacnn", max_epochs=1)
    ).fit(images, np.arange(7) % 2)
    for given in (images, images.reshape(-1, 8, 8)):
        display = DeformationDisplay.from_estimator(model, given)
        np.testing.assert_array_equal(display.images, images[:5].reshape(-1, 8, 8))


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_texts_in_narrow_axes(images, layout, assert_fits):
    figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout=layout)
    for ax, n_deformations in zip(axes, (1, 2, 8), strict=True):
        DeformationDisplay.from_estimator(
            brighten, images, n_deformations=n_deformations, random_state=0, ax=ax
        )
    assert_fits(figure)
    for ax in axes:
        left, right = (label.get_window_extent() for label in ax.get_xticklabels())
        assert left.x1 < right.x0
