"""Pictures that a user has drawn, read by the command line with the default network."""

import math

import pytest
from PIL import Image, ImageDraw
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, save_model
from sklearn_usps._cli import main


def arc(x, y, width, height, start, end):
    """Points on an ellipse, from and to an angle in degrees, clockwise from three o'clock."""
    angles = [math.radians(angle) for angle in range(start, end + 1, 6)]
    return [(x + width * math.cos(a), y + height * math.sin(a)) for a in angles]


#: The strokes of each digit in a box of one by one, y downwards.
STROKES = {
    0: [arc(0.5, 0.5, 0.32, 0.48, 0, 360)],
    1: [[(0.55, 0.02), (0.5, 0.98)]],
    2: [[*arc(0.5, 0.27, 0.33, 0.26, 180, 380), (0.15, 0.97), (0.88, 0.97)]],
    3: [arc(0.45, 0.26, 0.33, 0.25, 200, 450) + arc(0.45, 0.73, 0.37, 0.25, 270, 520)],
    4: [[(0.62, 0.98), (0.62, 0.02), (0.1, 0.68), (0.92, 0.68)]],
    5: [[(0.85, 0.03), (0.25, 0.03), (0.2, 0.45), *arc(0.48, 0.67, 0.36, 0.3, 225, 510)]],
    6: [[(0.75, 0.03), (0.35, 0.35)], arc(0.5, 0.7, 0.33, 0.28, 180, 540)],
    7: [[(0.1, 0.03), (0.9, 0.03), (0.38, 0.98)]],
    8: [arc(0.5, 0.26, 0.28, 0.24, 0, 360), arc(0.5, 0.74, 0.34, 0.24, 0, 360)],
    9: [arc(0.5, 0.3, 0.33, 0.28, 0, 360), [(0.83, 0.3), (0.78, 0.6), (0.6, 0.98)]],
}


def draw(digit, size, ink, ground, stroke):
    """Draw a digit `size` pixels high, off the centre of a larger picture."""
    picture = Image.new("L", (round(1.7 * size), round(1.5 * size)), ground)
    pen, width = ImageDraw.Draw(picture), stroke * size
    for points in STROKES[digit]:
        pixels = [(size * (0.4 + 0.8 * x), size * (0.2 + y)) for x, y in points]
        pen.line(pixels, fill=ink, width=round(width), joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=ink)
    return picture


@pytest.fixture(scope="module")
def model(roweis, tmp_path_factory):
    """The default network after a few epochs on the real digits, in a file."""
    classifier = ConvNetClassifier(max_epochs=6, random_state=0)
    path = tmp_path_factory.mktemp("model") / "model.skops"
    model = make_pipeline(ImageNormalizer(), classifier)
    save_model(model.fit(roweis.data, roweis.target), path)
    return path


@pytest.mark.real_data
@pytest.mark.parametrize(("ink", "ground"), [(10, 245), (240, 15)], ids=["dark", "light"])
@pytest.mark.parametrize(("size", "stroke"), [(40, 0.18), (110, 0.1), (300, 0.14)])
def test_nine_of_ten_drawings_are_recognized(model, tmp_path, capsys, ink, ground, size, stroke):
    paths = []
    for digit in range(10):
        paths.append(str(tmp_path / f"{digit}.png"))
        draw(digit, size, ink, ground, stroke).save(paths[-1])
    assert main(["predict", *paths, "--model", str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    predicted = [int(line.split()[1]) for line in lines]
    n_right = sum(digit == answer for digit, answer in enumerate(predicted))
    assert n_right >= 9, predicted
