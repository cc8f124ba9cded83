"""The published experiments: set up as published, and citizens of scikit-learn like the rest."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    fetch_usps,
    load_model,
    recipes,
    save_model,
)
from sklearn_usps._cli import _published, _summary, main
from sklearn_usps.recipes import RECIPES, recipe

NAMES = list(RECIPES)
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


def classifier_of(model):
    return model[-1] if isinstance(model, Pipeline) else model


@pytest.fixture(scope="module")
def few(roweis):
    """Forty real images of each digit."""
    rows = np.concatenate([np.flatnonzero(roweis.target == digit)[:40] for digit in range(10)])
    return roweis.data[rows], roweis.target[rows]


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
    classifier = classifier_of(model)
    params = classifier.get_params(deep=False)
    assert {key: params[key] for key in DEMO} == {**DEMO, **changes}
    # whatever else there is stays as it is by default
    default = ConvNetClassifier().get_params(deep=False)
    assert {key for key in default if key not in DEMO and params[key] != default[key]} == set()
    assert isinstance(model, Pipeline) == (name == "luacnn-normalized")
    if isinstance(model, Pipeline):
        assert isinstance(model[0], ImageNormalizer)
        assert model[0].method == "global"


def test_lecun1989_has_the_papers_passes():
    params = classifier_of(recipe("lecun1989")).get_params(deep=False)
    published = {"network": "lecun1989", "max_epochs": 23, "batch_size": 1, "sampling": "shuffle"}
    assert {key: params[key] for key in published} == published
    assert RECIPES["lecun1989"].version == "zip"


def test_lecun1989_sees_its_input_between_minus_one_and_one():
    X = np.array([[0.0, 0.25, 0.5, 1.0]])
    np.testing.assert_array_equal(recipe("lecun1989")[0].transform(X), [[-1.0, -0.5, 0.0, 1.0]])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.real_data
def test_recipe_learns_and_goes_through_clone_and_file(name, few, tmp_path):
    model = recipe(name, random_state=3)
    classifier_of(model).set_params(max_epochs=1)
    model.fit(*few)
    assert model.score(*few) > 0.2  # twice chance, after one pass over 400 images
    again = clone(model).fit(*few)
    np.testing.assert_array_equal(again.predict_proba(few[0]), model.predict_proba(few[0]))
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict_proba(few[0]), model.predict_proba(few[0]))


def test_each_call_gives_an_estimator_of_its_own():
    recipe("luacnn").set_params(lr=1.0)
    assert recipe("luacnn").lr == 0.01


def test_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match=r"The 'name' parameter of .*recipe must be") as error:
        recipe("alexnet")
    assert all(repr(name) in str(error.value) for name in NAMES)
    assert "Got 'alexnet' instead" in str(error.value)


def test_module_is_public():
    assert recipes.recipe is recipe


def test_reproduce_refuses_an_unknown_name_in_one_line(capsys):
    assert main(["reproduce", "alexnet"]) == 1
    error = capsys.readouterr().err
    assert re.match(r"sklearn-usps: The 'name' parameter of .*recipe must be", error)
    assert error.count("\n") == 1


def test_reproduce_refuses_no_seed(capsys):
    assert main(["reproduce", "luacnn", "--seeds", "0"]) == 1
    assert capsys.readouterr().err == ("sklearn-usps: --seeds must be at least 1. Got 0.\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["luacnn", "--hold-out", "100"], "--hold-out needs images in random order"),
        (["lecun1989", "--hold-out", "0"], "--hold-out must be between 1 and 7,290. Got 0"),
        (["lecun1989", "--hold-out", "7291"], "--hold-out must be between 1 and 7,290. Got 7291"),
    ],
)
def test_reproduce_refuses_what_it_cannot_hold_out(options, message, zip_home, capsys):
    assert main(["reproduce", *options]) == 1
    assert message in capsys.readouterr().err


def test_reproduce_tests_on_what_it_held_out(zip_home, capsys):
    options = ["--data", "zip", "--hold-out", "1500", "--seeds", "1"]
    assert main(["reproduce", "minibatch", *options]) == 0
    output = capsys.readouterr().out
    assert "5,791 training images, 1,500 held out to test on\n" in output
    _, train_error, test_error, *_ = output.splitlines()[2].split()
    X, y = fetch_usps(version="zip", subset="train", return_X_y=True)
    model = recipe("minibatch", random_state=0).fit(X[:5791], y[:5791])
    assert train_error == f"{1 - model.score(X[:5791], y[:5791]):.2%}"
    assert test_error == f"{1 - model.score(X[5791:], y[5791:]):.2%}"
    assert float(test_error[:-1]) < 5


def test_summary_is_mean_and_sample_deviation():
    assert _summary([0.03, 0.04, 0.05]) == "Test error 4.00% ± 1.00% over 3 seeds"
    assert _summary([0.03]) == "Test error 3.00%, one seed"


def test_published_figure_with_its_version_and_source():
    assert _published(RECIPES["luacnn"]) == (
        "Published: test error 3-4 % on version luacnn (H. Penedones, luacnn)"
    )
    assert _published(RECIPES["luacnn-fan-in"]) == (
        'Published: no figure. Source: H. Penedones, luacnn, "Possible Improvements"'
    )
