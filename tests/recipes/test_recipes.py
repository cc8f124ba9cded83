"""The recipes and the command `reproduce`."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps, load_model, save_model
from sklearn_usps._cli import _published, _summary, main
from sklearn_usps.recipes import RECIPES, recipe

DEMO = {
    "network": "luacnn",
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "lr_schedule": "constant",
    "lr_scaling": "none",
    "sampling": "replacement",
    "batch_size": 1,
    "max_epochs": 10,
    "label_smoothing": 0.0,
    "augmentation": None,
    "early_stopping": False,
}


@pytest.fixture
def zip_home(fetch, data_home, monkeypatch):
    """scikit-learn's data folder, with the training images of the version zip."""
    fetch(version="zip", subset="train")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(data_home))


@pytest.fixture(scope="module")
def few(roweis):
    """Forty real images of each digit."""
    rows = np.concatenate([np.flatnonzero(roweis.target == digit)[:40] for digit in range(10)])
    return roweis.data[rows], roweis.target[rows]


def classifier_of(model):
    return model[-1] if isinstance(model, Pipeline) else model


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("luacnn", {}),
        ("luacnn-normalized", {}),
        ("luacnn-fan-in", {"lr_scaling": "fan-in"}),
        ("luacnn-efficient-backprop", {"lr_scaling": "efficient-backprop"}),
        ("luacnn-early-stopping", {"early_stopping": True}),
    ],
)
def test_variants_of_the_demo_differ_from_it_in_one_point(name, changes):
    model = recipe(name)
    params = classifier_of(model).get_params(deep=False)
    default = ConvNetClassifier().get_params(deep=False)
    assert params == {**default, **DEMO, **changes}
    assert isinstance(model, Pipeline) == (name == "luacnn-normalized")
    if isinstance(model, Pipeline):
        assert isinstance(model[0], ImageNormalizer)
        assert model[0].method == "global"


def test_lecun1989_has_the_papers_passes_and_input_range():
    model = recipe("lecun1989")
    params = model[-1].get_params(deep=False)
    published = {"network": "lecun1989", "max_epochs": 23, "batch_size": 1, "sampling": "shuffle"}
    published["lr_scaling"] = "second-derivatives"
    assert {key: params[key] for key in published} == published
    assert RECIPES["lecun1989"].version == "zip"
    X = np.array([[0.0, 0.25, 0.5, 1.0]])
    np.testing.assert_array_equal(model[0].transform(X), [[-1.0, -0.5, 0.0, 1.0]])


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.real_data
def test_recipe_learns_and_can_be_cloned_and_saved(name, few, tmp_path):
    model = recipe(name, random_state=3)
    # The small initial weights of "lecun1989" grow slowly at first.
    classifier_of(model).set_params(max_epochs=3 if name == "lecun1989" else 1)
    model.fit(*few)
    assert model.score(*few) > 0.2  # twice chance, after one pass over 400 images, or three
    save_model(clone(model).fit(*few), tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict_proba(few[0]), model.predict_proba(few[0]))


def test_each_call_returns_a_new_estimator():
    recipe("luacnn").set_params(lr=1.0)
    assert recipe("luacnn").lr == 0.01


def test_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match=r"The 'name' parameter of .*recipe must be") as error:
        recipe("alexnet")
    assert all(repr(name) in str(error.value) for name in RECIPES)
    assert "Got 'alexnet' instead" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alexnet"], "recipe must be a str among"),
        (["luacnn", "--seeds", "0"], "--seeds must be at least 1. Got 0."),
        (["luacnn", "--hold-out", "100"], "--hold-out needs images in random order"),
    ],
)
def test_reproduce_refuses_wrong_arguments_in_one_line(arguments, message, capsys):
    assert main(["reproduce", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sklearn-usps: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("n_images", [0, 7291])
def test_reproduce_refuses_to_hold_out_no_or_all_images(n_images, zip_home, capsys):
    assert main(["reproduce", "lecun1989", "--hold-out", str(n_images)]) == 1
    error = capsys.readouterr().err
    assert f"--hold-out must be between 1 and 7,290. Got {n_images}." in error


def test_reproduce_tests_on_held_out_images(zip_home, capsys):
    options = ["--data", "zip", "--hold-out", "1500", "--seeds", "1"]
    assert main(["reproduce", "one-pass", *options]) == 0
    output = capsys.readouterr().out
    assert "5,791 training images, 1,500 held out to test on\n" in output
    _, train_error, test_error, *_ = output.splitlines()[2].split()
    X, y = fetch_usps(version="zip", subset="train", return_X_y=True)
    model = recipe("one-pass", random_state=0).fit(X[:5791], y[:5791])
    assert train_error == f"{1 - model.score(X[:5791], y[:5791]):.2%}"
    assert test_error == f"{1 - model.score(X[5791:], y[5791:]):.2%}"
    assert float(test_error[:-1]) < 5


def test_summary_is_mean_and_sample_standard_deviation():
    assert _summary([0.03, 0.04, 0.05]) == "Test error 4.00% ± 1.00% over 3 seeds"
    assert _summary([0.03]) == "Test error 3.00%, one seed"


def test_published_error_with_its_version_and_source():
    assert _published(RECIPES["luacnn"]) == (
        "Published: test error 3-4 % on version luacnn (H. Penedones, luacnn)"
    )
    assert _published(RECIPES["luacnn-fan-in"]) == (
        'Published: no figure. Source: H. Penedones, luacnn, "Possible Improvements"'
    )
