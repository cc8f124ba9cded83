"""Parameters that an estimator does not have: each error says what to set instead."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import EarlyStopping, InputShapeSetter

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
)
from sklearn_usps.networks import LuaCNN

FAST = {"network": "luacnn", "max_epochs": 1, "random_state": 0}


@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_search_over_the_default_augmentation(search, bars):
    grid = {"augmentation__rotation": [5, 10]}
    with pytest.raises(ValueError, match=r"augmentation is 'default', .* Set an instance first: "):
        search(ConvNetClassifier(**FAST), grid, cv=2).fit(*bars)
    both = {"augmentation": [RandomDeformation()], **grid}
    for classifier, params in [
        (ConvNetClassifier(augmentation=RandomDeformation(), **FAST), grid),
        (ConvNetClassifier(**FAST), both),
    ]:
        fitted = search(classifier, params, cv=2).fit(*bars)
        rotations = [each["augmentation__rotation"] for each in fitted.cv_results_["params"]]
        assert rotations == [5, 10]
        assert fitted.best_estimator_.augmentation.rotation in rotations


@pytest.mark.parametrize("value", ["default", None, np.copy, RandomDeformation])
def test_augmentations_without_parameters(value):
    classifier = ConvNetClassifier(augmentation=value)
    with pytest.raises(ValueError, match=r"first: augmentation=RandomDeformation\(\)\.$"):
        classifier.set_params(augmentation__rotation=5)
    classifier.set_params(augmentation=RandomDeformation(), augmentation__rotation=5)
    assert classifier.augmentation.rotation == 5


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("network__n_channels", r"Set the .*: network_params=\{'n_channels': \.\.\.\}\."),
        ("network_params__n_channels", r"as a whole: network_params=\{'n_channels': \.\.\.\}\."),
        ("optimizer__weight_decay", "set weight_decay."),
        ("optimizer__betas", "Set a subclass of the optimizer, with the value of betas in its"),
        ("callbacks__early_stopping__patience", r"with the value: callbacks=\[\.\.\.\]"),
        ("class_weight__3", r"as a whole: class_weight=\{\.\.\.\}"),
        ("lr__x", "lr is 0.025, which has no parameters. Set lr itself."),
        ("module__n_filters", "set network and network_params."),
        ("criterion", "set label_smoothing and class_weight, or a network with a method"),
        ("iterator_train__batch_size", "set batch_size."),
        ("iterator_train__shuffle", "set sampling and batch_size."),
        ("train_split", "set early_stopping and validation_fraction, or pass X_val and y_val"),
        ("epochs", "set max_epochs."),
        ("learning_rate_init", "set lr."),
    ],
)
def test_names_of_other_libraries_and_nested_names(name, advice):
    classifier = ConvNetClassifier()
    with pytest.raises(ValueError, match=rf"Invalid parameter '{name}' for .*{advice}"):
        classifier.set_params(**{name: 1})
    pipeline = make_pipeline(ImageNormalizer(), MultiTaskConvNetClassifier(classifier))
    with pytest.raises(ValueError, match=rf"Invalid parameter '{name}' for .*{advice}"):
        pipeline.set_params(**{f"multitaskconvnetclassifier__estimator__{name}": 1})


def test_names_that_nothing_is_known_of_are_left_to_scikit_learn():
    with pytest.raises(ValueError, match=r"Valid parameters are: \['augmentation', 'batch_size'"):
        ConvNetClassifier().set_params(n_filters=3)
    with pytest.raises(ValueError, match=r"'angle' for estimator RandomDeformation\(\)"):
        ConvNetClassifier(augmentation=RandomDeformation()).set_params(augmentation__angle=3)


def test_parameters_of_the_wrapped_estimator():
    model = MultiTaskConvNetClassifier(ConvNetClassifier())
    with pytest.raises(ValueError, match="one of `estimator`: set estimator__lr"):
        model.set_params(lr=0.1)
    with pytest.raises(ValueError, match="set estimator__augmentation__rotation"):
        model.set_params(augmentation__rotation=5)
    with pytest.raises(ValueError, match=r"as a whole: task_weights=\{\.\.\.\}"):
        model.set_params(task_weights__digits=1)
    for value in (None, ConvNetClassifier):
        with pytest.raises(ValueError, match=r"first: estimator=ConvNetClassifier\(\)"):
            MultiTaskConvNetClassifier(value).set_params(estimator__lr=0.1)
    assert model.set_params(estimator__lr=0.1).estimator.lr == 0.1


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"augmentation": RandomDeformation}, TypeError, r"augmentation=RandomDeformation\(\)"),
        ({"network": LuaCNN((16, 16), 3)}, ValueError, "not an instance: set network=LuaCNN, and"),
        ({"network": len}, ValueError, r"torch\.nn\.Module class. Got <built-in function len>"),
        ({"callbacks": [3]}, TypeError, r"must be a list of skorch callbacks.* Got 3 in it"),
        ({"callbacks": ("stop", EarlyStopping())}, TypeError, "Got 'stop' in it"),
        ({"callbacks": [("stop", None)]}, TypeError, r"Got \('stop', None\) in it"),
        ({"callbacks": [InputShapeSetter()]}, ValueError, "InputShapeSetter has no use"),
    ],
)
def test_values_of_the_wrong_kind(params, error, message, bars):
    with pytest.raises(error, match=message):
        ConvNetClassifier(**{**FAST, **params}).fit(*bars)


def test_an_own_optimizer_as_the_error_advises(bars):
    class Slow(torch.optim.AdamW):
        def __init__(self, params, lr, weight_decay):
            super().__init__(params, lr=lr, weight_decay=weight_decay, betas=(0.5, 0.9))

    classifier = ConvNetClassifier(**FAST, optimizer=Slow).fit(*bars)
    assert classifier.net_.optimizer_.param_groups[0]["betas"] == (0.5, 0.9)
