"""export_onnx: graphs run by ONNX Runtime."""

import logging
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_usps import ConvNetClassifier, ImageNormalizer, MultiTaskConvNetClassifier, export_onnx

onnxruntime = pytest.importorskip("onnxruntime")
SMALL = {"network": "luacnn", "lr": 0.01, "max_epochs": 1, "random_state": 0}


def small():
    return ConvNetClassifier(**SMALL)


def run(path, X):
    """Return labels and probabilities."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [(i.name, i.type) for i in session.get_inputs()] == [("X", "tensor(float)")]
    assert [output.name for output in session.get_outputs()] == ["label", "probabilities"]
    return session.run(None, {"X": np.asarray(X, dtype=np.float32)})


def check_same(model, X, path, **of_task):
    export_onnx(model, path, **of_task)
    for rows in (X, X[:1]):
        labels, probabilities = run(path, rows)
        expected = model.predict_proba(rows, **of_task)
        if of_task:
            of_task_classes = model[-1].estimators_[of_task["task"]].classes_
            expected = expected[:, np.isin(model.classes_, of_task_classes)]
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
        assert labels.tolist() == model.predict(rows, **of_task).tolist()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("network", ["convnet", "luacnn", "lecun1989", "lenet5"])
def test_every_network(network, bars, path):
    X, y = bars
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(**{**SMALL, "network": network}))
    check_same(model.fit(X, y), X, path)


@pytest.mark.parametrize("method", ["global", "pixel", "image", "contrast"])
def test_every_normalization(method, bars, path):
    X, y = bars
    model = make_pipeline(ImageNormalizer(method=method), ConvNetClassifier(**SMALL)).fit(X, y)
    X = X.copy()
    X[5] = 0.3  # an image without contrast
    X[6] = 0.0
    check_same(model, X, path)
    labels, _ = run(path, X)
    assert labels.dtype == np.int64


@pytest.mark.parametrize("method", ["global", "image", "contrast"])
def test_images_that_are_not_square(method, path):
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 12 * 9), dtype=np.float32), np.arange(40) % 2
    classifier = ConvNetClassifier(image_shape=(12, 9), **SMALL)
    model = make_pipeline(ImageNormalizer(method=method, image_shape=(12, 9)), classifier)
    check_same(model.fit(X, y), X, path)


@pytest.mark.parametrize(
    ("labels", "type_"),
    [
        (["a", "é", "z"], object),
        ([-1, 5, 7], np.int64),
        ([-1.0, 2.0, 3.0], np.float64),
        (np.array([0, 1, 2**63 - 1], dtype=np.uint64), np.int64),
    ],
)
def test_labels_keep_their_type(labels, type_, bars, path):
    X, y = bars
    model = ConvNetClassifier(**SMALL).fit(X, np.array(labels)[y])
    check_same(model, X, path)
    assert run(path, X)[0].dtype == type_


def test_a_search_with_test_time_augmentation(bars, path):
    classifier = ConvNetClassifier(test_time_augmentation=True, **SMALL)
    check_same(GridSearchCV(classifier, {"lr": [0.01]}, cv=2).fit(*bars), bars[0], path)


class Dense(nn.Module):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.output = nn.Linear(image_shape[0] * image_shape[1], n_classes)

    def forward(self, images):
        return self.output(images.flatten(1))


class Branch(Dense):
    """A network whose graph depends on the pixels."""

    def forward(self, images):
        return super().forward(images if images.sum().item() > 0 else images * 2)


def test_own_network(bars, path):
    check_same(ConvNetClassifier(**{**SMALL, "network": Dense}).fit(*bars), bars[0], path)


def test_a_failed_export_restores_the_logging_of_torch(bars, path):
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    with pytest.raises(Exception, match="export"):
        export_onnx(ConvNetClassifier(**{**SMALL, "network": Branch}).fit(*bars), path)
    assert logger.level == level


def test_each_task_of_a_multi_task_classifier(bars, path):
    X, y = bars
    labels = np.where(y == 2, "cross", np.where(y == 1, "b", "a"))
    task = np.repeat(["first", "second"], 60)
    classifier = ConvNetClassifier(**{**SMALL, "max_epochs": 8, "batch_size": 16})
    model = make_pipeline(ImageNormalizer(), MultiTaskConvNetClassifier(classifier))
    model.fit(X, labels, multitaskconvnetclassifier__task=task)
    for name in ("first", "second"):
        check_same(model, X, path, task=name)
    for wrong in (None, "third"):
        message = rf"task must be one of \['first', 'second'\]. Got {wrong!r} instead"
        with pytest.raises(ValueError, match=message):
            export_onnx(model, path, task=wrong)
    check_same(MultiTaskConvNetClassifier(ConvNetClassifier(**SMALL)).fit(X, y), X, path)


def test_models_that_can_not_be_exported(bars, path, tmp_path):
    X, y = bars
    fitted = ConvNetClassifier(**SMALL).fit(X, y)
    scaled = make_pipeline(StandardScaler(), ConvNetClassifier(**SMALL)).fit(X, y)
    large = ConvNetClassifier(**SMALL).fit(X, np.array([0, 1, 2**63], dtype=np.uint64)[y])
    for model, options, error, message in [
        (ConvNetClassifier(), {}, NotFittedError, "not fitted yet"),
        (scaled, {}, ValueError, "The step 'standardscaler' of the pipeline can't be exported"),
        (LogisticRegression().fit(X, y), {}, TypeError, "Got LogisticRegression instead"),
        (fitted, {"task": "digits"}, ValueError, "task='digits' was given, but ConvNetClassifier"),
        (large, {}, ValueError, "Labels must be of int64 .* largest is 9223372036854775808"),
    ]:
        with pytest.raises(error, match=message):
            export_onnx(model, path, **options)
    with pytest.raises(OSError):
        export_onnx(fitted, tmp_path / "no folder" / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_normalizer_is_exported_as_it_was_fitted(bars, path):
    X, y = bars
    model = make_pipeline(ImageNormalizer(method="image"), ConvNetClassifier(**SMALL)).fit(X, y)
    model.set_params(imagenormalizer__method="global")
    check_same(model, X, path)


def test_versions_are_in_the_graph(bars, path):
    onnx = pytest.importorskip("onnx")
    export_onnx(ConvNetClassifier(**SMALL).fit(*bars), path)
    properties = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert {"scikit-learn", "torch"} <= properties.keys()


def test_silent(tmp_path):
    """In a process of its own, since torch writes some messages only once."""
    code = (
        "import numpy as np; from sklearn_usps import ConvNetClassifier, export_onnx\n"
        "X = np.random.default_rng(0).random((20, 64)); y = np.arange(20) % 2\n"
        "export_onnx(ConvNetClassifier(max_epochs=1).fit(X, y), 'model.onnx')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_missing_packages_are_named():
    code = (
        "import sys; sys.modules['onnxscript'] = None\n"
        "from sklearn_usps import export_onnx\n"
        "export_onnx(None, 'model.onnx')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "ImportError: export_onnx requires onnx and onnxscript: pip install" in result.stderr


@pytest.mark.parametrize(
    ("make_model", "part"),
    [
        (lambda: CalibratedClassifierCV(small(), cv=2), "calibrated_classifiers_[0].estimator"),
        (lambda: FixedThresholdClassifier(small(), threshold=0.3), "estimator_"),
        (lambda: VotingClassifier([("a", small())], voting="soft"), "estimators_[0]"),
        (lambda: OneVsRestClassifier(small()), "estimators_[0]"),
        (
            lambda: GridSearchCV(CalibratedClassifierCV(small(), cv=2), {"cv": [2]}, cv=2),
            "best_estimator_.calibrated_classifiers_[0].estimator",
        ),
    ],
    ids=["calibrated", "threshold", "voting", "one-vs-rest", "search"],
)
def test_models_of_which_a_part_can_be_exported(make_model, part, bars, path):
    """What the others add to the networks, such as a calibration, would be lost."""
    X, y = bars
    model = make_model().fit(X, np.minimum(y, 1))
    with pytest.raises(TypeError, match=rf"Pass a part of it, such as model\.{re.escape(part)}\.$"):
        export_onnx(model, path)
    assert isinstance(eval(f"model.{part}"), ConvNetClassifier)


def test_frozen_models_and_nested_searches(bars, path):
    X, y = bars
    inner = make_pipeline(ImageNormalizer(), small())
    search = GridSearchCV(inner, {"convnetclassifier__lr": [0.01]}, cv=2)
    normalizer = FrozenEstimator(ImageNormalizer(method="image").fit(X))
    check_same(FrozenEstimator(make_pipeline(normalizer, search).fit(X, y)), X, path)
    with pytest.raises(TypeError, match=r"Got GridSearchCV instead\. Set refit=True in the search"):
        export_onnx(clone(search).set_params(refit=False).fit(X, y), path)
