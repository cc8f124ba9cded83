"""Images of letters drawn from fonts."""

import string
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from sklearn_usps import make_letters

FONTS = [
    Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    for name in ("DejaVuSans.ttf", "DejaVuSerif-Bold.ttf")
]


def test_default_letters():
    X, y = make_letters(random_state=0)
    assert (X.shape, X.dtype) == ((2600, 256), np.float32)
    assert (X.min(), X.max()) == (0, 1)
    labels, counts = np.unique(y, return_counts=True)
    assert "".join(labels) == string.ascii_uppercase
    assert set(counts) == {100}
    # Each letter touches two opposite borders, so it is as large as its proportions allow.
    ink = X.reshape(-1, 16, 16) > 0
    touches = [edge.any(1) for edge in (ink[:, 0], ink[:, -1], ink[:, :, 0], ink[:, :, -1])]
    assert np.all((touches[0] & touches[1]) | (touches[2] & touches[3]))


def test_letters_can_be_classified():
    X, y = make_letters(520, random_state=0)
    assert cross_val_score(KNeighborsClassifier(1), X, y, cv=4).mean() > 0.9


def test_random_state():
    first, second, other = (make_letters(20, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def test_order_and_shape():
    X, y = make_letters(5, classes="ab", image_shape=(20, 12), shuffle=False, random_state=0)
    assert y.tolist() == ["a", "b", "a", "b", "a"]
    assert X.shape == (5, 240)
    ink = X.reshape(-1, 20, 12) > 0
    assert ink[:, :, 0].any(1).all()  # the letters are as wide as the image
    assert ink[:, :, -1].any(1).all()
    rows = ink.any(2)
    above, below = rows.argmax(1), rows[:, ::-1].argmax(1)
    assert (above > 1).all()
    assert (abs(above - below) <= 1).all()  # centered


@pytest.mark.parametrize("deformation", ["rotation", "shear"])
def test_rotation_and_shear_go_both_ways(deformation):
    options = {"rotation": 0, "shear": 0, deformation: {"rotation": 30, "shear": 0.5}[deformation]}
    X, _ = make_letters(200, classes="IT", shuffle=False, random_state=0, **options)
    ink = X[::2].reshape(-1, 16, 16)
    middles = (ink * np.arange(16)).sum(2) / ink.sum(2)
    lean = middles[:, :4].mean(1) - middles[:, -4:].mean(1)
    assert (lean > 2).sum() > 20
    assert (lean < -2).sum() > 20


def test_without_rotation_and_shear_only_the_stroke_width_differs():
    X, _ = make_letters(100, classes="LT", rotation=0, shear=0, shuffle=False, random_state=0)
    assert len(np.unique(X[::2], axis=0)) == 4
    ink = X[::2].reshape(-1, 16, 16).sum(axis=2) > 0
    assert ink.all()  # an upright L has ink in each row
    turned, _ = make_letters(100, classes="LT", rotation=20, shuffle=False, random_state=0)
    assert len(np.unique(turned[::2], axis=0)) == 50


def test_fonts():
    options = {"classes": "AB", "rotation": 0, "shear": 0, "shuffle": False, "random_state": 0}
    sans, serif, both = (
        make_letters(40, fonts=fonts, **options)[0] for fonts in (FONTS[:1], FONTS[1:], FONTS)
    )
    sans, serif, both = ({image.tobytes() for image in images} for images in (sans, serif, both))
    assert both <= sans | serif
    assert both & sans
    assert both & serif


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter of make_letters must be an int"),
        ({"classes": "A"}, "classes must be at least two different single characters. Got 'A'"),
        ({"classes": ["A", "BC"]}, "different single characters"),
        ({"classes": "A "}, "Aileron has no glyph of ' '"),
        ({"classes": "Aé"}, "Aileron has no glyph of 'é'"),
        ({"shear": 1e6}, "rotation and shear leave nothing of a letter"),
        ({"image_shape": (16,)}, "image_shape must be two positive integers"),
        ({"fonts": []}, "fonts must be None or have at least one path"),
        ({"rotation": -1}, "'rotation' parameter of make_letters must be a float"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        make_letters(**{"n_samples": 4, **options})


def test_a_font_that_cannot_be_read(tmp_path):
    with pytest.raises(OSError, match="cannot open resource"):
        make_letters(4, fonts=[tmp_path / "missing.ttf"])
