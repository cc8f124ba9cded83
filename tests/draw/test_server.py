"""The local page: its answers, and requests that it refuses. All by HTTP to the real server."""

import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from local_server import LocalServer, png
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, prepare_image, save_model
from sklearn_usps._cli import main
from sklearn_usps.draw._about import about_model, load_examples
from sklearn_usps.draw._answer import Answers
from sklearn_usps.draw._server import listen

pytestmark = pytest.mark.real_data


def zero(size=200):
    picture = Image.new("L", (size, size), "white")
    ImageDraw.Draw(picture).ellipse((60, 40, 140, 160), outline="black", width=16)
    return picture


@pytest.fixture(scope="module")
def digits(roweis):
    rows = np.arange(0, 10_000, 10)
    return roweis.data[rows], roweis.target[rows]


@pytest.fixture(scope="module")
def saved(digits, tmp_path_factory):
    """A model and its file."""
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=8, random_state=0))
    model.fit(*digits)
    path = tmp_path_factory.mktemp("model") / "model.skops"
    save_model(model, path, metadata={"version": "roweis", "data": "roweis", "test_error": 0.025})
    return model, path


def serve(model, about, version="roweis"):
    """Return the server of a model."""
    return LocalServer(Answers(model, version, (16, 16), *load_examples(model, version)), about)


@pytest.fixture(scope="module")
def url(saved):
    model, path = saved
    with serve(model, about_model(model, path, None)) as url:
        yield url


def ask(url, data, path="answer", **headers):
    return requests.post(url + path, data=data, headers=headers, timeout=60)


# Answers


def test_the_answer_to_a_digit(url, saved):
    model, _ = saved
    answer = ask(url, png(zero())).json()
    image = prepare_image(zero())
    assert answer["refusal"] is None
    assert answer["label"] == "0"
    assert answer["classes"] == [str(digit) for digit in range(10)]
    np.testing.assert_allclose(answer["image"], image.ravel())
    proba = model.predict_proba(image.reshape(1, -1))[0]
    np.testing.assert_allclose(answer["proba"], proba, atol=1e-7)
    assert [len(layer["maps"]) for layer in answer["layers"]] == [16, 32, 32, 64, 64]
    assert all(
        len(of_one) == layer["height"] * layer["width"]
        for layer in answer["layers"]
        for of_one in layer["maps"]
    )
    neighbors = ask(url, png(zero()), "views").json()["neighbors"]
    assert [near["label"] for near in neighbors] == ["0"] * 5


def test_shifts_and_rotations(url, saved):
    model, _ = saved
    picture = Image.new("L", (200, 200), "white")
    ImageDraw.Draw(picture).line([(60, 60), (140, 60), (90, 150)], fill="black", width=16)
    answer = ask(url, png(picture), path="views").json()
    image = prepare_image(picture)
    shifts = {(each["dx"], each["dy"]): each for each in answer["shifts"]}
    assert len(shifts) == 25
    right = np.pad(image, ((0, 0), (1, 0)), mode="edge")[:, :16]
    down = np.pad(image, ((2, 0), (0, 0)), mode="edge")[:16]
    for at, expected in {(0, 0): image, (1, 0): right, (0, 2): down}.items():
        proba = model.predict_proba(expected.reshape(1, -1))[0]
        assert shifts[at]["p"] == pytest.approx(proba.max(), abs=1e-6)
        assert shifts[at]["label"] == str(proba.argmax())
    angles = {each["angle"]: each for each in answer["rotations"]}
    assert sorted(angles) == [*range(-40, 41, 10)]
    assert angles[0]["p"] == pytest.approx(shifts[0, 0]["p"], abs=1e-6)


def test_a_classifier_without_convolutions_or_hidden_layer(digits):
    with serve(make_pipeline(ImageNormalizer(), LogisticRegression()).fit(*digits), {}) as url:
        answer = ask(url, png(zero())).json()
        neighbors = ask(url, png(zero()), "views").json()["neighbors"]
    assert (answer["label"], answer["layers"]) == ("0", [])
    assert [near["label"] for near in neighbors] == ["0"] * 5


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is not a picture in a supported format"),
        (b"a text\n", "not a picture"),
        (png(Image.new("L", (100, 100), "white")), "nothing in it differs from its border"),
        (png(Image.new("1", (10_000, 10_000))), "pixels"),  # 100 megapixels in 12 kB
        (png(zero())[:300], "damaged|truncated|not a picture"),
    ],
)
def test_refusals_in_words(data, words, url):
    for path in ("answer", "views"):
        response = ask(url, data, path)
        assert response.status_code == 200
        answer = response.json()
        assert set(answer) == {"refusal"}
        assert re.search(words, answer["refusal"])


def test_a_hundred_pictures_at_once(url):
    with ThreadPoolExecutor(100) as pool:
        answers = [each.json() for each in pool.map(lambda _: ask(url, png(zero())), range(100))]
    assert [answer["label"] for answer in answers] == ["0"] * 100


# Requests that are refused


def test_other_pages_are_refused(url):
    assert ask(url, png(zero()), Origin="http://example.org").status_code == 403
    assert ask(url, png(zero()), Origin="null").status_code == 403
    assert ask(url, png(zero()), Origin=url.rstrip("/")).status_code == 200
    for host in ("example.org", "example.org:8000", "127.0.0.1.example.org"):
        assert ask(url, png(zero()), Host=host).status_code == 400
        assert requests.get(url, headers={"Host": host}, timeout=60).status_code == 400


def test_a_file_that_is_too_large(url):
    response = ask(url, bytes(2**25 + 1))
    assert response.status_code == 413
    assert response.json() == {"refusal": "The file is larger than 32 MiB."}


@pytest.mark.parametrize(
    "path", ["../_server.py", "%2e%2e/_server.py", "..%2f_server.py", "/etc/passwd"]
)
def test_nothing_outside_of_the_page_is_served(path, url):
    request = requests.Request("GET", url).prepare()
    request.url = url + path  # which requests would normalize
    with requests.Session() as session:
        assert session.send(request, timeout=60).status_code == 404


def test_a_browser_runs_only_the_files_of_the_page(url):
    for path in ("", "about.json", "page.js"):
        response = requests.get(url + path, timeout=60)
        assert response.status_code == 200
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_description_of_the_model(url):
    about = requests.get(url + "about.json", timeout=60).json()
    assert about["backend"] == "python"
    assert about["name"] == "convnet, 79,930 parameters"
    assert about["test_error"] == 0.025
    assert "“roweis”" in about["trained_on"]


# The command


def test_the_command_ends_on_ctrl_c(saved):
    _, path = saved
    command = [sys.executable, "-m", "sklearn_usps", "draw", "--model", str(path)]
    command += ["--port", "0", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as page:
        try:
            url = re.search(r"http://\S+/", page.stdout.readline())[0]
            assert ask(url, png(zero())).json()["label"] == "0"
            page.send_signal(signal.SIGINT)
            _, errors = page.communicate(timeout=60)
        finally:
            page.kill()
    assert (page.returncode, errors) == (0, "")


def test_a_port_in_use_is_named(saved, capsys):
    _, path = saved
    with listen(0) as listening:
        port = listening.getsockname()[1]
        assert main(["draw", "--model", str(path), "--port", str(port), "--no-browser"]) == 1
    message = f"port {port} is in use by another program. Choose another by --port"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_does_not_exist(port, capsys):
    assert main(["draw", "--port", port, "--no-browser"]) == 1
    assert f"port {port} can't be used" in capsys.readouterr().err


def test_a_model_of_other_values_is_refused(digits, tmp_path, capsys):
    X, y = digits
    classifier = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0)
    save_model(classifier.fit(255 * X, y), tmp_path / "model.skops", metadata={"version": "roweis"})
    command = ["draw", "--model", str(tmp_path / "model.skops"), "--port", "0", "--no-browser"]
    assert main(command) == 1
    assert "was trained on other values than those of prepared pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"data": "pictures", "test_error": 0}, (0, "digits of two", "The flag of a 1")),
        ({"data": "my digits", "test_error": 7.0}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_only_known_facts_are_stated(metadata, expected, saved, tmp_path):
    path = tmp_path / "model.skops"
    save_model(saved[0], path, metadata=metadata)
    about = about_model(saved[0], path, None)
    for key, part in zip(("test_error", "trained_on", "note"), expected, strict=True):
        assert part in about[key] if isinstance(part, str) else about[key] == part


def test_a_missing_model_is_named(tmp_path, capsys):
    missing = tmp_path / "missing.skops"
    assert main(["draw", "--model", str(missing), "--port", "0", "--no-browser"]) == 1
    assert f"no model file {missing}" in capsys.readouterr().err
