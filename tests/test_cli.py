"""The command line, as a user types it, on the real digits."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits
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


@pytest.fixture(scope="module")
def trained(roweis, tmp_path_factory):
    """What `train` leaves, and what it printed, after two epochs of the small network."""
    folder = tmp_path_factory.mktemp("new") / "folder"
    command = [sys.executable, "-m", "sklearn_usps", "--network", "luacnn", "--epochs", "2"]
    command += ["--seed", "3", "--output", str(folder)]
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


def test_report_is_the_demos_and_that_of_the_saved_model(trained):
    folder, output = trained
    model = load_model(folder / "model.skops")
    X, y = fetch_usps(subset="test", return_X_y=True)
    predicted = model.predict(X)
    (wrong,) = np.nonzero(predicted != y)
    expected = [[int(i), int(y[i]), int(predicted[i])] for i in wrong]
    table = output.partition("Index Label Prediction\n")[2].partition("Test error")[0]
    assert [[int(word) for word in line.split()] for line in table.splitlines()] == expected
    assert f"Test error {len(wrong) / 1000:.4f} ({len(wrong)} out of 1000)\n" in output
    facts = {"data": "roweis", "test_error": len(wrong) / 1000, "seed": 3}
    assert read_metadata(folder / "model.skops") == facts


def test_the_model_is_saved_before_a_report_that_nobody_reads(roweis, tmp_path):
    command = [sys.executable, "-u", "-m", "sklearn_usps", "--network", "luacnn", "--epochs", "1"]
    with subprocess.Popen(
        [*command, "--output", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            if line.startswith("Trained"):
                break
        child.stdout.close()  # as `head` does
    assert child.returncode != 0
    assert load_model(tmp_path / "model.skops").predict_proba(np.zeros((1, 256))).shape == (1, 10)


def test_picture_of_the_wrong_examples(trained):
    folder, output = trained
    assert f"Wrong examples: {folder / 'wrong-examples.png'}\n" in output
    with Image.open(folder / "wrong-examples.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_predict_prints_a_line_for_each_picture(trained, tmp_path, capsys):
    folder, _ = trained
    paths = []
    for name, ink, ground in (("dark.png", 0, 255), ("light.jpg", 230, 20)):
        picture = Image.new("L", (120, 90), ground)
        ImageDraw.Draw(picture).ellipse((35, 15, 85, 75), outline=ink, width=10)
        paths.append(str(tmp_path / name))
        picture.save(paths[-1])
    assert main(["predict", *paths, "--model", str(folder / "model.skops")]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["Image", "Digit", "Probability"]
    assert [line.split()[:2] for line in lines] == [[path, "0"] for path in paths]
    assert all(0.5 < float(line.split()[2]) <= 1 for line in lines)


def test_picture_that_cannot_be_read_does_not_hide_the_others(trained, tmp_path, capsys):
    folder, _ = trained
    good, blank = tmp_path / "good.png", tmp_path / "blank.png"
    picture = Image.new("L", (64, 64), 255)
    picture.save(blank)
    ImageDraw.Draw(picture).ellipse((12, 8, 52, 56), outline=0, width=7)
    picture.save(good)
    arguments = ["predict", str(blank), str(good), str(tmp_path / "none.png")]
    assert main([*arguments, "--model", str(folder / "model.skops")]) == 1
    output, errors = capsys.readouterr()
    assert [line.split()[:2] for line in output.splitlines()[1:]] == [[str(good), "0"]]
    assert [line.split(":")[1].strip() for line in errors.splitlines()] == [
        str(blank),
        str(tmp_path / "none.png"),
    ]


def test_predict_with_a_model_of_other_pictures_and_labels(tmp_path, capsys):
    """Labels that are words, images of another shape: any classifier that was saved."""
    X, y = load_digits(n_class=2, return_X_y=True)
    classifier = ConvNetClassifier(network="luacnn", max_epochs=5, random_state=0)
    model = make_pipeline(ImageNormalizer(), classifier)
    save_model(model.fit(X / 16, np.array(["zero", "one"])[y]), tmp_path / "model.skops")
    picture = Image.new("L", (60, 80), 255)
    ImageDraw.Draw(picture).ellipse((10, 10, 50, 70), outline=0, width=8)
    picture.save(tmp_path / "zero.png")
    arguments = [str(tmp_path / "zero.png"), "--model", str(tmp_path / "model.skops")]
    assert main(["predict", *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "zero"


def test_fetch_says_what_and_where(roweis, capsys):
    from sklearn.datasets import get_data_home

    assert main(["fetch"]) == 0
    output = capsys.readouterr().out
    assert "version roweis: 10,000 training images and 1,000 test images" in output
    assert f"Files: {get_data_home()}" in output


def test_predict_without_a_model_says_what_to_do(tmp_path, capsys):
    path = tmp_path / "model.skops"
    assert main(["predict", "digit.png", "--model", str(path)]) == 1
    assert capsys.readouterr().err == (
        f"sklearn-usps: there is no model {path}: run `sklearn-usps train` first\n"
    )


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
