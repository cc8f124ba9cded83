"""The command line on the real digits and on pictures."""

import math
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import get_data_home, load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    fetch_usps,
    load_model,
    prepare_image,
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
    facts = {"version": "roweis", "data": "roweis", "test_error": len(wrong) / 1000, "seed": 3}
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


def test_train_for_pictures(fetch, data_home, tmp_path, zero):
    fetch(version="zip", subset="train")
    command = [*TRAIN, "--data", "pictures", "--epochs", "1", "--output", str(tmp_path)]
    environment = os.environ | {"SCIKIT_LEARN_DATA": str(data_home)}
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    first = "USPS digits, for pictures: 17,291 training images, 1,000 test images"
    assert finished.stdout.splitlines()[1] == first
    metadata = read_metadata(tmp_path / "model.skops")
    assert metadata["version"] == "zip"
    assert metadata["test_error"] < 0.2
    assert main(["predict", zero, "--model", str(tmp_path / "model.skops")]) == 0


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
        f"sklearn-usps: no model file {path}: run `sklearn-usps train --data pictures` first\n"
    )


def test_predict_refuses_a_model_without_probabilities(tmp_path, capsys):
    path = tmp_path / "model.skops"
    save_model(ImageNormalizer().fit(np.eye(4)), path, metadata={"version": "zip"})
    assert main(["predict", "digit.png", "--model", str(path)]) == 1
    error = capsys.readouterr().err
    assert f"the model in {path} (ImageNormalizer) has no predict_proba" in error


@pytest.fixture(scope="module")
def zero(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "zero.png"
    draw(0, 100, 0, 255, 0.12).save(path)
    return str(path)


@pytest.fixture
def predict(zero, tmp_path, capsys):
    """Run `predict` on a zero with a saved model and return the labels and the error message."""

    def predict(model, metadata, *options):
        save_model(model, tmp_path / "model.skops", metadata=metadata)
        status = main(["predict", zero, "--model", str(tmp_path / "model.skops"), *options])
        output, error = capsys.readouterr()
        assert status == (1 if error else 0)
        assert error.count("\n") <= 1
        return [line.split()[1] for line in output.splitlines()[1:]], error

    return predict


@pytest.fixture(scope="module")
def digits(roweis):
    return roweis.data[::10], roweis.target[::10]


def network(**parameters):
    parameters = {"max_epochs": 5, "augmentation": None, "random_state": 0, **parameters}
    return ConvNetClassifier(network="luacnn", **parameters)


@pytest.fixture(scope="module")
def small(digits):
    return make_pipeline(ImageNormalizer(), network()).fit(*digits)


@pytest.mark.parametrize(
    ("metadata", "options"),
    [
        ({"version": "roweis"}, []),
        ({"version": "roweis"}, ["--data", "roweis"]),
        ({}, ["--data", "luacnn"]),
        ({"version": 1.2}, ["--data", "roweis"]),  # of the user's program
    ],
)
def test_version_of_the_file_or_of_the_user(predict, small, metadata, options):
    assert predict(small, metadata, *options) == (["0"], "")


@pytest.mark.parametrize(
    ("metadata", "options", "message"),
    [
        ({}, [], "says no version of the digits"),
        ({"version": "1.2"}, [], "says the version '1.2' of the digits"),
        ({"version": ["zip"]}, [], "add --data, one of roweis, luacnn, zip, pictures"),
        ({"version": "roweis"}, ["--data", "zip"], "takes images of the version roweis, not those"),
        ({"version": "roweis"}, ["--data", "pictures"], "leave out --data"),
    ],
)
def test_unknown_or_other_version_is_refused(predict, small, metadata, options, message):
    labels, error = predict(small, metadata, *options)
    assert labels == []
    assert message in error


def test_pictures_are_prepared_as_the_file_says(zero, small, tmp_path, capsys):
    for version in ("roweis", "zip"):
        path = tmp_path / f"{version}.skops"
        save_model(small, path, metadata={"version": version})
        assert main(["predict", zero, "--model", str(path)]) == 0
        probability = small.predict_proba(prepare_image(zero, version=version).reshape(1, -1)).max()
        assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(probability, abs=6e-4)


@pytest.mark.parametrize(("factor", "offset"), [(255, 0), (2, -1)])
@pytest.mark.parametrize("normalize", [False, True])
def test_model_of_other_values_is_refused(predict, digits, factor, offset, normalize):
    X, y = digits
    model = make_pipeline(ImageNormalizer() if normalize else "passthrough", network())
    labels, error = predict(model.fit(factor * X + offset, y), {"version": "roweis"})
    assert labels == []
    assert "was trained on other values than those of prepared pictures, 0 to 1" in error


def test_models_of_other_kinds(predict, digits):
    X, y = digits
    columns = pd.DataFrame(X).rename(columns=str)
    for model in (
        GridSearchCV(network(), {"lr": [0.01, 0.02]}, cv=2).fit(X, y),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=100, tol=0.1)).fit(X, y),
        make_pipeline(ImageNormalizer(), network()).fit(columns, y),
        MultiTaskConvNetClassifier(network()).fit(X, y, task=np.repeat("digits", len(y))),
    ):
        assert predict(model, {"version": "roweis"}) == (["0"], "")


def test_types_that_only_python_can_be_told_to_trust(predict, digits):
    model = FrozenEstimator(network().fit(*digits))
    labels, error = predict(model, {"version": "roweis"})
    assert labels == []
    assert "types that the command line does not load: sklearn.frozen" in error
    assert "trusted=[" not in error


def test_models_that_take_no_picture_are_refused(predict, digits):
    X, y = digits
    two_tasks = MultiTaskConvNetClassifier(network(max_epochs=1)).fit(X, y, task=y < 5)
    labels, error = predict(two_tasks, {"version": "roweis"})
    assert (labels, "has several tasks: save one of its `estimators_`" in error) == ([], True)
    odd = LogisticRegression(max_iter=100, tol=0.1).fit(X[:, :250], y)
    labels, error = predict(odd, {"version": "roweis"})
    assert (labels, "takes 250 features, not a perfect square" in error) == ([], True)
    labels, error = predict(network(), {"version": "roweis"})
    assert (labels, "save a fitted classifier" in error) == ([], True)


def test_a_picture_named_twice_has_two_lines(zero, small, tmp_path, capsys):
    save_model(small, tmp_path / "model.skops", metadata={"version": "roweis"})
    assert main(["predict", zero, zero, "--model", str(tmp_path / "model.skops")]) == 0
    assert capsys.readouterr().out.count(zero) == 2


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
