"""The command line on the real digits and on pictures."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import get_data_home, load_digits
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    fetch_usps,
    load_model,
    read_metadata,
    save_model,
)
from sklearn_usps._cli import main

pytestmark = pytest.mark.real_data
TRAIN = [sys.executable, "-u", "-m", "sklearn_usps", "--network", "luacnn"]


@pytest.fixture(scope="module")
def trained(roweis, tmp_path_factory):
    """The output folder and the standard output of `train` after two epochs of a small network."""
    folder = tmp_path_factory.mktemp("new") / "folder"
    command = [*TRAIN, "--epochs", "2", "--seed", "3", "--output", str(folder)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stderr == ""
    return folder, finished.stdout


def test_train_shows_its_progress(trained):
    _, output = trained
    assert output.startswith(
        "USPS digits, version roweis: 10,000 training images, 1,000 test images\n"
    )
    epochs = re.findall(
        r"^Epoch (\d)/2 +train error +\d+\.\d+% +validation error +\d+\.\d+% +\d+\.\d+ s "
        r" +\d+ s left$",
        output,
        flags=re.MULTILINE,
    )
    assert epochs == ["1", "2"]
    assert re.search(r"^Trained in \d+\.\d s$", output, flags=re.MULTILINE)


def test_report_has_the_demos_format_and_the_saved_models_errors(trained):
    folder, output = trained
    model = load_model(folder / "model.skops")
    X, y = fetch_usps(subset="test", return_X_y=True)
    predicted = model.predict(X)
    (wrong,) = np.nonzero(predicted != y)
    expected = [[int(i), int(y[i]), int(predicted[i])] for i in wrong]
    table = output.partition("Index Label Prediction\n")[2].partition("Test error")[0]
    assert [[int(word) for word in line.split()] for line in table.splitlines()] == expected
    assert f"Test error {len(wrong) / 1000:.4f} ({len(wrong)} out of 1000)\n" in output
    facts = {"version": "roweis", "test_error": len(wrong) / 1000, "seed": 3}
    assert read_metadata(folder / "model.skops") == facts


def test_train_saves_a_picture_of_the_wrong_examples(trained):
    folder, output = trained
    assert f"Wrong examples: {folder / 'wrong-examples.png'}\n" in output
    with Image.open(folder / "wrong-examples.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_model_is_saved_even_if_standard_output_is_closed(roweis, tmp_path):
    command = [*TRAIN, "--epochs", "1", "--output", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.startswith("Trained"):
                break
        child.stdout.close()  # as `head` does
    assert child.returncode != 0
    assert load_model(tmp_path / "model.skops").predict_proba(np.zeros((1, 256))).shape == (1, 10)


def test_unreadable_pictures_do_not_hide_the_others(trained, tmp_path, capsys):
    folder, _ = trained
    good, blank, missing = (tmp_path / f"{name}.png" for name in ("good", "blank", "missing"))
    draw(0, 60, 0, 255, 0.15).save(good)
    Image.new("L", (64, 64), 255).save(blank)
    arguments = [str(blank), str(good), str(missing), "--model", str(folder / "model.skops")]
    assert main(["predict", *arguments]) == 1
    output, errors = capsys.readouterr()
    head, line = output.splitlines()
    assert head.split() == ["Image", "Digit", "Probability"]
    assert line.split()[:2] == [str(good), "0"]
    assert 0.5 < float(line.split()[2]) <= 1
    assert [line.split(": ")[1] for line in errors.splitlines()] == [str(blank), str(missing)]


def test_predict_with_other_labels_and_another_image_shape(tmp_path, capsys):
    X, y = load_digits(n_class=2, return_X_y=True)
    classifier = ConvNetClassifier(network="luacnn", max_epochs=5, random_state=0)
    model = make_pipeline(ImageNormalizer(), classifier)
    save_model(model.fit(X / 16, np.array(["zero", "one"])[y]), tmp_path / "model.skops")
    draw(0, 60, 0, 255, 0.13).save(tmp_path / "zero.png")
    arguments = [str(tmp_path / "zero.png"), "--model", str(tmp_path / "model.skops")]
    assert main(["predict", *arguments, "--data", "zip"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "zero"


def test_fetch_reports_the_images_and_their_folder(roweis, capsys):
    assert main(["fetch"]) == 0
    output = capsys.readouterr().out
    assert "version roweis: 10,000 training images and 1,000 test images" in output
    assert f"Files: {get_data_home()}" in output


def test_predict_without_a_model_says_what_to_do(tmp_path, capsys):
    path = tmp_path / "model.skops"
    assert main(["predict", "digit.png", "--model", str(path)]) == 1
    assert capsys.readouterr().err == (
        f"sklearn-usps: no model file {path}: run `sklearn-usps train` first\n"
    )


def test_predict_refuses_a_model_without_probabilities(tmp_path, capsys):
    path = tmp_path / "model.skops"
    save_model(ImageNormalizer().fit(np.eye(4)), path, metadata={"version": "zip"})
    assert main(["predict", "digit.png", "--model", str(path)]) == 1
    error = capsys.readouterr().err
    assert f"the model in {path} (ImageNormalizer) has no predict_proba" in error


def test_unknown_network_is_refused_in_one_line(roweis, tmp_path, capsys):
    assert main(["train", "--network", "alexnet", "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sklearn-usps: The 'network' parameter of ConvNetClassifier must be")
    assert "'alexnet'" in error
    assert error.count("\n") == 1


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert re.fullmatch(r"sklearn-usps \d+\.\d+\.\d+\n", capsys.readouterr().out)


def arc(x, y, width, height, start, end):
    """Return points on an ellipse between two angles, in degrees, clockwise from three o'clock."""
    angles = [math.radians(angle) for angle in range(start, end + 1, 6)]
    return [(x + width * math.cos(a), y + height * math.sin(a)) for a in angles]


#: The strokes of each digit in a unit square, with y downwards.
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
    """Draw a digit `size` pixels high, off the center of a larger picture."""
    picture = Image.new("L", (round(1.7 * size), round(1.5 * size)), ground)
    pen, width = ImageDraw.Draw(picture), stroke * size
    for points in STROKES[digit]:
        pixels = [(size * (0.4 + 0.8 * x), size * (0.2 + y)) for x, y in points]
        pen.line(pixels, fill=ink, width=round(width))
        for x, y in pixels:  # round ends and corners
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=ink)
    return picture


@pytest.fixture(scope="module")
def model(roweis, tmp_path_factory):
    """A file with the default network, trained on the real digits for a few epochs."""
    path = tmp_path_factory.mktemp("model") / "model.skops"
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=3, random_state=0))
    save_model(model.fit(roweis.data, roweis.target), path, metadata={"version": "roweis"})
    return path


@pytest.mark.parametrize(("ink", "ground"), [(10, 245), (240, 15)], ids=["dark", "light"])
@pytest.mark.parametrize(("size", "stroke"), [(40, 0.18), (110, 0.1), (300, 0.14)])
def test_nine_of_ten_drawings_are_recognized(model, tmp_path, capsys, ink, ground, size, stroke):
    paths = [str(tmp_path / f"{digit}.png") for digit in range(10)]
    for digit, path in enumerate(paths):
        draw(digit, size, ink, ground, stroke).save(path)
    assert main(["predict", *paths, "--model", str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    predicted = [int(line.split()[1]) for line in lines]
    assert sum(digit == answer for digit, answer in enumerate(predicted)) >= 9, predicted
