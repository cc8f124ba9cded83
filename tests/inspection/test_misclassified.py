"""The grid of misclassified images."""

import warnings

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MisclassifiedDisplay,
    MultiTaskConvNetClassifier,
)


@pytest.fixture(scope="module")
def digits():
    """Training and test digits, 8 × 8."""
    X, y = load_digits(return_X_y=True)
    return X[:1200], y[:1200], X[1200:], y[1200:]


@pytest.fixture(scope="module")
def classifier(digits):
    return GaussianNB().fit(*digits[:2])


def texts(display):
    return [[text.get_text() for text in tile] for tile in display.text_]


def drawn(display):
    return np.array([image.get_array() for image in display.images_])


def test_each_mistake_is_shown_once_the_most_confident_first(digits, classifier):
    _, _, X, y = digits
    display = MisclassifiedDisplay.from_estimator(classifier, X, y, max_images=1000)
    wrong = np.flatnonzero(classifier.predict(X) != y)
    assert 20 < len(wrong) < 200
    np.testing.assert_array_equal(np.sort(display.indices), wrong)
    np.testing.assert_array_equal(drawn(display), X[display.indices].reshape(-1, 8, 8))
    np.testing.assert_array_equal(display.y_true, y[display.indices])
    np.testing.assert_array_equal(display.y_pred, classifier.predict(X)[display.indices])
    percentage = f"{100 * len(wrong) / len(y):.2f}"
    assert display.ax_.get_title() == f"Misclassified {len(wrong)} of {len(y)} ({percentage} %)"

    proba = classifier.predict_proba(X).max(axis=1)
    np.testing.assert_array_equal(display.y_proba, proba[display.indices])
    assert (np.diff(display.y_proba) <= 0).all()
    index = display.indices[0]
    assert texts(display)[0] == [
        f"{y[index]} → {classifier.predict(X)[index]}",
        f"{100 * proba[index]:.1f} %  #{index}",
    ]


def test_probability_is_that_of_the_label_predicted():
    class Contrary(GaussianNB):  # predicts what it finds least likely
        def predict(self, X):
            return self.classes_[self.predict_proba(X).argmin(axis=1)]

    X, y = load_digits(n_class=3, return_X_y=True)
    X = X + np.random.default_rng(0).normal(0, 20, X.shape)
    classifier = Contrary().fit(X, y + 5)
    display = MisclassifiedDisplay.from_estimator(classifier, X, y + 5)
    expected = classifier.predict_proba(X).min(axis=1)[display.indices]
    np.testing.assert_array_equal(display.y_proba, expected)


def test_classifier_without_probabilities_keeps_the_order_of_rows(digits):
    X_train, y_train, X, y = digits
    classifier = make_pipeline(StandardScaler(), SVC()).fit(X_train, y_train)
    display = MisclassifiedDisplay.from_estimator(classifier, X, y)
    assert display.y_proba is None
    np.testing.assert_array_equal(display.indices, np.flatnonzero(classifier.predict(X) != y))
    assert [details for _, details in texts(display)] == [f"#{i}" for i in display.indices]


def test_from_predictions():
    X = np.arange(4 * 6).reshape(4, 6)
    display = MisclassifiedDisplay.from_predictions(
        X, [1, 2, 3, 4], [1, 9, 8, 7], y_proba=[1, 0.25, 0.9996, 0.5], image_shape=(2, 3)
    )
    np.testing.assert_array_equal(display.indices, [2, 3, 1])
    assert texts(display) == [
        ["3 → 8", "100.0 %  #2"],
        ["4 → 7", "50.0 %  #3"],
        ["2 → 9", "25.0 %  #1"],
    ]
    np.testing.assert_array_equal(drawn(display), X[[2, 3, 1]].reshape(3, 2, 3))
    assert display.ax_.get_title() == "Misclassified 3 of 4 (75.00 %)"


def test_max_images(digits, classifier):
    _, _, X, y = digits
    display = MisclassifiedDisplay.from_estimator(classifier, X, y, max_images=7)
    assert len(display.images_) == len(display.text_) == len(display.ax_.get_images()) == 7
    assert display.ax_.get_title().endswith("), 7 shown")
    n_wrong = len(display.indices)
    assert len(display.plot(max_images=n_wrong).images_) == n_wrong > 7


@pytest.mark.parametrize("options", [{}, {"y_proba": [0.5, 0.5]}])
def test_a_classifier_without_mistakes(options):
    display = MisclassifiedDisplay.from_predictions(np.zeros((2, 4)), [1, 2], [1, 2], **options)
    assert display.ax_.get_title() == "Misclassified 0 of 2 (0.00 %)"
    assert "No image is misclassified." in [text.get_text() for text in display.ax_.texts]
    assert display.images.shape == (0, 2, 2)
    assert len(display.images_) == len(display.frame()) == 0
    display.figure_.draw_without_rendering()


@pytest.mark.parametrize("labels", [np.arange(10), np.array(["ankle boot", "sandal"])])
@pytest.mark.parametrize("n_images", [1, 2, 37, 100])
@pytest.mark.parametrize("in_own_figure", [True, False])
def test_images_and_texts_do_not_overlap(labels, n_images, in_own_figure):
    ax = None if in_own_figure else Figure(figsize=(8, 5), layout="constrained").subplots()
    y_true, y_pred = np.resize(labels, n_images), np.resize(labels[::-1], n_images)
    display = MisclassifiedDisplay.from_predictions(
        np.eye(n_images, 256), y_true, y_pred, y_proba=np.ones(n_images), ax=ax
    )
    display.figure_.draw_without_rendering()
    # One pixel less on each side, since texts are measured in whole pixels.
    parts = [
        part.get_window_extent().padded(-1) for part in [*display.images_, *display.text_.ravel()]
    ]
    assert not any(part.overlaps(other) for i, part in enumerate(parts) for other in parts[i + 1 :])
    figure, title = display.figure_.bbox, display.ax_.title.get_window_extent()
    for part in [*parts, title]:
        assert figure.x0 <= part.x0 < part.x1 <= figure.x1
        assert figure.y0 <= part.y0 < part.y1 <= figure.y1


def test_images_have_one_scale_and_keep_their_proportions():
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    images = np.ones((3, 20, 10)) * [[[-1]], [[3]], [[9]]]
    display = MisclassifiedDisplay.from_predictions(images, [1] * 3, [2, 2, 1], ax=axes)
    assert (display.ax_, display.figure_) == (axes, figure)
    assert not plt.get_fignums()
    assert [image.get_clim() for image in display.images_] == [(-1, 3), (-1, 3)]
    assert display.images_[0].get_cmap().name == "gray"
    figure.draw_without_rendering()
    box = display.images_[0].get_window_extent()
    assert box.height / box.width == pytest.approx(2, rel=0.02)


def test_shape_of_images():
    X = np.random.default_rng(0).random((20, 36))
    classifier = ConvNetClassifier(network="luacnn", image_shape=(4, 9), max_epochs=1)
    model = make_pipeline(ImageNormalizer(), classifier).fit(X, np.arange(20) % 2)
    y = 1 - model.predict(X)
    display = MisclassifiedDisplay.from_estimator(model, X, y)
    np.testing.assert_array_equal(display.images.reshape(20, 36), X[display.indices])
    assert display.images.shape == (20, 4, 9)
    display = MisclassifiedDisplay.from_estimator(model, X, y, image_shape=(6, 6))
    assert display.images.shape == (20, 6, 6)
    with pytest.warns(UserWarning, match="not a perfect square"):
        display = MisclassifiedDisplay.from_predictions(np.ones((2, 6)), [1, 1], [2, 1])
    assert display.images.shape == (1, 1, 6)


@pytest.mark.parametrize("library", ["list", "list of images", "pandas"])
def test_kinds_of_tables(library):
    X = np.arange(12.0).reshape(3, 4)
    given = X.tolist()
    if library == "list of images":
        given = list(X.reshape(3, 2, 2))
    elif library == "pandas":
        given = pytest.importorskip("pandas").DataFrame(X, index=[7, 8, 9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = MisclassifiedDisplay.from_predictions(given, ["a", "$b$", "b"], ["a", "a", "b"])
    np.testing.assert_array_equal(display.images, X[1:2].reshape(1, 2, 2))
    assert texts(display) == [["$b$ → a", "#1"]]
    assert not display.text_[0, 0].get_parse_math()  # a dollar sign is no formula


def test_frame(digits, classifier):
    pandas = pytest.importorskip("pandas")
    _, _, X, y = digits
    display = MisclassifiedDisplay.from_estimator(classifier, X, y, max_images=3)
    frame = display.frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame) == ["index", "true", "predicted", "probability"]
    assert len(frame) == (classifier.predict(X) != y).sum()
    np.testing.assert_array_equal(frame["true"], y[frame["index"]])
    without = MisclassifiedDisplay.from_predictions(X, y, classifier.predict(X)).frame()
    assert list(without) == ["index", "true", "predicted"]


def test_regressors_are_refused(digits):
    X, y, *_ = digits
    with pytest.raises(ValueError, match=r"MisclassifiedDisplay.from_estimator only supports cl"):
        MisclassifiedDisplay.from_estimator(LinearRegression().fit(X, y), X, y)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones((2, 4)), [1, 2, 3], [1, 2, 3]), {}, "inconsistent numbers of samples"),
        ((np.ones((2, 4)), [1, 2], [1, 3]), {"y_proba": [1]}, "inconsistent numbers of samples"),
        ((np.ones((2, 4)), [1, 2], ["1", "3"]), {}, "Mix of label input types"),
        ((np.ones((2, 4)), [1, 2], [1, 3]), {"y_proba": np.ones((2, 9))}, "y_proba must have one"),
        ((np.ones((2, 4)), [1, 2], [1, 3]), {"y_proba": [1, 2]}, r"y_proba must .* from 1 to 2"),
        ((np.ones((2, 4)), [1, 2], [1, 3]), {"image_shape": (3, 3)}, "X has 4 features, but image"),
        ((np.ones((2, 4)), [1, 2], [1, 3]), {"max_images": 0}, "max_images == 0, must be >= 1"),
        ((np.zeros((0, 64)), [], []), {}, "X, y_true and y_pred have 0 samples"),
        ((np.ones(2), [1, 2], [1, 3]), {}, "Expected 2D array, got 1D array instead"),
    ],
)
def test_wrong_input(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        MisclassifiedDisplay.from_predictions(*arguments, **options)


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_titles_in_narrow_axes(layout, assert_fits):
    figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout=layout)
    for ax in axes:
        MisclassifiedDisplay.from_predictions(
            np.eye(12, 256), [1] * 12, [2] * 12, max_images=9, ax=ax
        )
        title = ax.get_title().replace("\n", " ")
        assert title == "Misclassified 12 of 12 (100.00 %), 9 shown"
    assert_fits(figure)


def upsample(X):
    """Images 8 × 8 as images 16 × 16."""
    return np.kron(np.asarray(X).reshape(-1, 8, 8), np.ones((2, 2))).reshape(-1, 256)


def test_images_are_those_given_where_a_step_changes_their_size(digits):
    X, y, *_ = digits
    classifier = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0)
    model = make_pipeline(FunctionTransformer(upsample), classifier).fit(X / 16, y)
    wrong = np.flatnonzero(model.predict(X / 16) != y)
    for given in (X / 16, X.reshape(-1, 8, 8) / 16):
        display = MisclassifiedDisplay.from_estimator(model, given, y)
        assert display.images.shape == (len(wrong), 8, 8)
        np.testing.assert_array_equal(display.images.reshape(-1, 64), X[display.indices] / 16)
    display = MisclassifiedDisplay.from_estimator(model, X / 16, y, image_shape=(4, 16))
    assert display.images.shape == (len(wrong), 4, 16)


@pytest.fixture(scope="module")
def two_tasks():
    """Images 8 × 8 of two tasks, their labels and tasks."""
    rng = np.random.default_rng(0)
    task = np.arange(60) % 3 // 2
    return rng.random((60, 64)), 2 * task + rng.integers(2, size=60), task


def multi_task(task_column=None):
    classifier = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0)
    return MultiTaskConvNetClassifier(classifier, task_column=task_column)


def test_multi_task_classifier(two_tasks):
    X, y, task = two_tasks
    classifier = multi_task().fit(X, y, task=task)
    model = make_pipeline(ImageNormalizer(), multi_task())
    model.fit(X, y, multitaskconvnetclassifier__task=task)
    for several in (classifier, model):
        with pytest.raises(ValueError, match=r"Pass one of `estimators_` .* from_predictions"):
            MisclassifiedDisplay.from_estimator(several, X, y)
    of_one = MisclassifiedDisplay.from_estimator(
        classifier.estimators_[1], X[task == 1], y[task == 1]
    )
    y_pred = classifier.predict(X, task=task)
    of_all = MisclassifiedDisplay.from_predictions(X, y, y_pred)
    assert of_one.n_samples == 20
    wrong = of_all.indices[task[of_all.indices] == 1]
    np.testing.assert_array_equal(np.sort(np.flatnonzero(task == 1)[of_one.indices]), wrong)
    single = multi_task().fit(X, y)
    assert MisclassifiedDisplay.from_estimator(single, X, y).images.shape[1:] == (8, 8)


@pytest.mark.parametrize("column", [0, -1])
def test_column_of_the_task_is_not_drawn(two_tasks, column):
    X, y, task = two_tasks
    X_and_task = np.column_stack([task, X] if column == 0 else [X, task])
    classifier = multi_task(column).fit(X_and_task, y)
    for given in (X_and_task, X_and_task.tolist()):
        display = MisclassifiedDisplay.from_estimator(classifier, given, y)
        wrong = np.flatnonzero(classifier.predict(X_and_task) != y)
        np.testing.assert_array_equal(np.sort(display.indices), wrong)
        np.testing.assert_array_equal(display.images, X[display.indices].reshape(-1, 8, 8))
    behind = make_pipeline(FunctionTransformer(), classifier)
    with pytest.raises(ValueError, match="not know which column of X becomes task_column="):
        MisclassifiedDisplay.from_estimator(behind, X_and_task, y)


def test_column_of_the_task_by_name(two_tasks):
    pandas = pytest.importorskip("pandas")
    X, y, task = two_tasks
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    frame.insert(30, "task", np.where(task, "b", "a"))
    model = make_pipeline(
        make_column_transformer(
            (ImageNormalizer(), [name for name in frame if name != "task"]),
            remainder="passthrough",
            verbose_feature_names_out=False,
        ).set_output(transform="pandas"),
        multi_task("task"),
    ).fit(frame, y)
    display = MisclassifiedDisplay.from_estimator(model, frame, y)
    assert len(display.indices)
    np.testing.assert_array_equal(display.images, X[display.indices].reshape(-1, 8, 8))


def test_long_labels_are_shortened():
    y = np.array(["international harvester 3", "a dozen char"])
    display = MisclassifiedDisplay.from_predictions(
        np.resize(np.eye(2, 256), (64, 256)), *[np.resize(labels, 64) for labels in (y, y[::-1])]
    )
    assert display.text_[0, 0].get_text() == "internat…r 3 → a dozen char"
    assert max(display.figure_.get_size_inches()) < 24
    assert display.frame()["true"][0] == y[0]
