"""Displays of models inside others: each works, or says which part it needs."""

import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_usps import (
    AttributionDisplay,
    ConvNetClassifier,
    DeformationDisplay,
    FeatureMapDisplay,
    FilterDisplay,
    ImageNormalizer,
    MisclassifiedDisplay,
    TrainingCurveDisplay,
)


def convnet(**params):
    return ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0, **params)


def grid_search(**options):
    return GridSearchCV(convnet(), {"lr": [0.01]}, cv=2, **options)


def display_all(model, X, y):
    for display in DISPLAYS:
        display_one(display, model, X, y)


@pytest.mark.parametrize(
    "make_model",
    [
        lambda X, y: FrozenEstimator(convnet().fit(X, y)),
        lambda X, y: FrozenEstimator(make_pipeline(ImageNormalizer(), convnet()).fit(X, y)),
        lambda X, y: make_pipeline(FrozenEstimator(ImageNormalizer().fit(X)), convnet()).fit(X, y),
        lambda X, y: make_pipeline(make_pipeline(ImageNormalizer(), grid_search())).fit(X, y),
        lambda X, y: CalibratedClassifierCV(convnet(), cv=2, ensemble=False).fit(X, y),
        lambda X, y: CalibratedClassifierCV(FrozenEstimator(convnet().fit(X, y))).fit(X, y),
        lambda X, y: grid_search().fit(X, y),
    ],
    ids=[
        *("frozen", "frozen pipeline", "frozen step", "nested pipeline", "calibrated"),
        *("calibrated frozen", "search"),
    ],
)
def test_all_displays_of(make_model, bars):
    display_all(make_model(*bars), *bars)


@pytest.mark.parametrize(
    ("make_model", "part"),
    [
        (lambda: VotingClassifier([("a", convnet())]), "estimators_[0]"),
        (lambda: OneVsRestClassifier(convnet()), "estimators_[0]"),
        (lambda: BaggingClassifier(convnet(), n_estimators=2), "estimators_[0]"),
        (
            lambda: make_pipeline(VotingClassifier([("a", make_pipeline(convnet()))])),
            "steps[0][1].estimators_[0].steps[0][1]",
        ),
        (lambda: make_pipeline(convnet(), StandardScaler()), "steps[0][1]"),
        (lambda: make_pipeline(convnet(), LogisticRegression()), "steps[0][1]"),
    ],
    ids=["voting", "one-vs-rest", "bagging", "voting in a pipeline", "transformer", "features"],
)
def test_displays_of_one_network_say_which_part_has_it(make_model, part, bars):
    model = make_model().fit(*bars)
    for display in (TrainingCurveDisplay, FilterDisplay, FeatureMapDisplay):
        with pytest.raises(ValueError, match="Pass a part of it, such as ") as caught:
            display_one(display, model, *bars)
        advised = str(caught.value).rpartition(" such as ")[2].rstrip(".")
        assert advised == f"estimator.{part}" or advised.startswith(f"estimator.{part}.")
        display_one(display, eval(advised, {"estimator": model}), *bars)


def display_one(display, model, X, y):
    return display.from_estimator(model, *DISPLAYS[display](X, y))


#: The displays, and functions that return their further parameters.
DISPLAYS = {
    MisclassifiedDisplay: lambda X, y: (X, y),
    DeformationDisplay: lambda X, y: (X,),
    TrainingCurveDisplay: lambda X, y: (),
    FilterDisplay: lambda X, y: (),
    FeatureMapDisplay: lambda X, y: (X[0],),
    AttributionDisplay: lambda X, y: (X[0],),
}
OF_FITTED_MODELS = [display for display in DISPLAYS if display is not DeformationDisplay]


@pytest.mark.parametrize("display", DISPLAYS)
def test_containers_and_other_objects(display, bars):
    classifier = convnet().fit(*bars)
    for model, part in [([classifier], r"\[0\]"), ({"a": classifier}, r"\['a'\]")]:
        with pytest.raises(ValueError, match=rf"a part of it, such as estimator{part}\.$"):
            display_one(display, model, *bars)
    with pytest.raises(ValueError, match=r"Got the class .* instead\. Pass an instance\."):
        display_one(display, ConvNetClassifier, *bars)
    for other in (None, "model.skops", classifier.net_.module_, LinearRegression().fit(*bars)):
        with pytest.raises(ValueError, match=f"Got {type(other).__name__} instead"):
            display_one(display, other, *bars)


@pytest.mark.parametrize("display", OF_FITTED_MODELS)
def test_unfitted_models_and_searches_without_refit(display, bars):
    models = convnet(), make_pipeline(convnet()), grid_search(), OneVsRestClassifier(convnet())
    for unfitted in models:
        with pytest.raises(NotFittedError):
            display_one(display, unfitted, *bars)
    with pytest.raises(ValueError, match="Set refit=True in the search"):
        display_one(display, grid_search(refit=False).fit(*bars), *bars)
