"""The command line: train on the digits, classify pictures, draw, reproduce experiments."""

import argparse
import contextlib
import math
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

VERSIONS = ("roweis", "luacnn", "zip")
#: Digits of two versions in the form of "zip", to train on for pictures.
PICTURES = "pictures"
NUMBER: dict[str, Any] = {"type": int, "metavar": "N"}
OUTPUT = Path("usps-output")
MODEL, WRONG_EXAMPLES = "model.skops", "wrong-examples.png"
#: Options of the command itself; any other first option is one of `train`.
TOP_LEVEL_OPTIONS = ("-h", "--help", "--version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    # GNU OpenMP reads this when torch is first imported: the time that threads wait for each other
    # before they give way. Beside a program that kept both processors busy, a fit took 25 times as
    # long by default (300,000) and 2.7 times as long with 10,000, which costs nothing otherwise.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in TOP_LEVEL_OPTIONS):
        arguments.insert(0, "train")
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (OSError, ValueError) as error:
        print(f"sklearn-usps: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sklearn-usps: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="sklearn-usps",
        description="Train convolutional networks on the USPS handwritten digits and classify "
        "pictures of your own. Without a command: train.",
        epilog="sklearn-usps COMMAND --help lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True)

    train = commands.add_parser(
        "train",
        help="train a network and save it",
        description="Train a network with early stopping, test it, and save the model and a "
        "picture of the test images that it misclassifies.",
    )
    data = (
        "version of the digits, or pictures: digits of two versions to train on for pictures of "
        "your own (default: %(default)s)"
    )
    train.add_argument("--data", choices=(*VERSIONS, PICTURES), default="roweis", help=data)
    networks = "convnet, luacnn, lecun1989 or lenet5 (default: %(default)s)"
    train.add_argument("--network", default="convnet", metavar="NAME", help=networks)
    train.add_argument("--epochs", **NUMBER, help="maximum number of epochs (default: 20 to 100)")
    train.add_argument("--seed", **NUMBER, default=0, help="random seed (default: %(default)s)")
    saved = f"folder for {MODEL} and {WRONG_EXAMPLES} (default: %(default)s)"
    train.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help=saved)
    train.set_defaults(run=_train)

    predict = commands.add_parser(
        "predict",
        help="classify pictures, one digit each",
        description="Classify pictures, one digit each, prepared as the digits that the model was "
        "trained on. A model of `train --data pictures` makes the fewest errors.",
    )
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="PNG or JPEG file of any size")
    model = "saved model (default: %(default)s)"
    predict.add_argument("--model", type=Path, default=OUTPUT / MODEL, metavar="FILE", help=model)
    trained_on = "what the model was trained on, if its file does not say so"
    predict.add_argument("--data", choices=(*VERSIONS, PICTURES), help=trained_on)
    predict.set_defaults(run=_predict)

    compare = "run an experiment and print the published error next to ours"
    reproduce = commands.add_parser("reproduce", help=compare)
    reproduce.add_argument("name", metavar="NAME", help="recipe, such as luacnn")
    of_recipe = "version of the digits (default: that of the recipe)"
    reproduce.add_argument("--data", choices=VERSIONS, help=of_recipe)
    seeds = "fit with the seeds 0 to N - 1 (default: %(default)s)"
    reproduce.add_argument("--seeds", **NUMBER, default=5, help=seeds)
    held_out = (
        "only with the version zip: test on its last N training images instead of its test "
        "images, and train on the others"
    )
    reproduce.add_argument("--hold-out", **NUMBER, help=held_out)
    reproduce.set_defaults(run=_reproduce)

    draw = commands.add_parser(
        "draw",
        help="open a page on which one draws a digit",
        description="Serve a page, to this machine alone, on which one draws a digit and sees "
        f"what a model makes of it. If there is no {OUTPUT / MODEL}, a model is trained first, "
        "by default for pictures.",
    )
    drawn = f"saved model (default: {OUTPUT / MODEL})"
    draw.add_argument("--model", type=Path, metavar="FILE", help=drawn)
    draw.add_argument("--data", choices=(*VERSIONS, PICTURES), help=trained_on)
    port = "port of the page; 0 is any free one (default: %(default)s)"
    draw.add_argument("--port", **NUMBER, default=8000, help=port)
    draw.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    draw.set_defaults(run=_draw)

    fetch = commands.add_parser("fetch", help="fetch the digits into scikit-learn's data folder")
    version = "version of the digits (default: %(default)s)"
    fetch.add_argument("--data", choices=VERSIONS, default="roweis", help=version)
    fetch.set_defaults(run=_fetch)
    return parser


def _train(options: argparse.Namespace) -> int:
    from sklearn.pipeline import make_pipeline

    from . import ConvNetClassifier, ImageNormalizer, save_model
    from .recipes import make_picture_digits

    options.output.mkdir(parents=True, exist_ok=True)  # an error here must not cost a whole fit
    if options.data == PICTURES:
        print("Making the digits to train on for pictures", flush=True)
        name = "for pictures"
        X, y = make_picture_digits(random_state=options.seed)
        X_test, y_test = make_picture_digits(subset="test")
    else:
        name = f"version {options.data}"
        X, y, X_test, y_test = _fetch_train_test(options.data)
    print(f"USPS digits, {name}: {len(X):,} training images, {len(X_test):,} test images")
    parameters = {
        "network": options.network,
        "random_state": options.seed,
        # On other writers' digits, 0.4 points less error; predict reads few pictures at a time.
        "test_time_augmentation": options.data == PICTURES,
    }
    if options.epochs is not None:
        parameters["max_epochs"] = options.epochs
    classifier = ConvNetClassifier(early_stopping=True, verbose=2, **parameters)
    model = make_pipeline(ImageNormalizer(), classifier)
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    predicted = model.predict(X_test)
    wrong = (predicted != y_test).nonzero()[0]
    test_error = len(wrong) / len(predicted)
    version = _form_of(options.data)
    metadata = {
        "version": version,
        "data": options.data,
        "test_error": test_error,
        "seed": options.seed,
    }
    # Saved before the next print, which fails if standard output is a pipe to `head`.
    save_model(model, options.output / MODEL, metadata=metadata)
    print(f"Trained in {seconds:.1f} s")

    print("Index Label Prediction")  # the format of the luacnn demo
    for index in wrong:
        print(f"{index:5d} {y_test[index]:5d} {predicted[index]:10d}")
    print(f"Test error {test_error:.4f} ({len(wrong)} out of {len(predicted)})")
    print(f"Model: {options.output / MODEL}")
    _draw_wrong_examples(model, X_test, y_test, options.output / WRONG_EXAMPLES)
    return 0


def _draw_wrong_examples(model, X_test, y_test, path: Path) -> None:
    from . import MisclassifiedDisplay

    try:
        display = MisclassifiedDisplay.from_estimator(model, X_test, y_test)
    except ImportError as error:  # matplotlib is an extra
        print(f"No picture of the wrong examples: {error}")
        return
    display.figure_.savefig(path, dpi=150)
    print(f"Wrong examples: {path}")


def _fetch(options: argparse.Namespace) -> int:
    from . import fetch_usps
    from .datasets._base import cache_folder

    usps = fetch_usps(version=options.data)
    n_test = len(usps.test_indices)
    print(
        f"USPS digits, version {options.data}: {len(usps.data) - n_test:,} training images and "
        f"{n_test:,} test images of 16 x 16 pixels"
    )
    folder = cache_folder(None, "usps")
    if os.access(folder, os.R_OK):  # on a read-only disk, fetch_usps works without a folder
        print(f"Files: {folder}")
    return 0


def _predict(options: argparse.Namespace) -> int:
    from . import prepare_image

    version = _version_to_prepare(options.model, options.data)
    model = _load(options.model)
    image_shape = _image_shape(model, options.model)
    paths, images = [], []
    for path in options.images:
        try:
            images.append(prepare_image(path, version=version, image_shape=image_shape))
            paths.append(path)
        except (OSError, ValueError) as error:  # the other pictures may be fine
            reason = getattr(error, "strerror", None) or error  # which names the path
            print(f"sklearn-usps: {path}: {reason}", file=sys.stderr)
    probabilities = _predict_proba(model, images, options.model) if images else []
    width = max(len(path) for path in [*options.images, "Image"])
    print(f"{'Image':{width}} Digit Probability")
    for path, row in zip(paths, probabilities, strict=True):
        print(f"{path:{width}} {model.classes_[row.argmax()]!s:>5} {row.max():11.3f}")
    return 0 if paths == options.images else 1


def _draw(options: argparse.Namespace) -> int:
    import numpy as np

    try:
        from .draw._about import about_model, load_examples
        from .draw._answer import Answers
        from .draw._server import listen, make_app, serve
    except ImportError as error:
        raise OSError(f'draw needs {error.name}: pip install "sklearn-usps[draw]"') from None

    with listen(options.port) as listening:  # an error here must not cost a training
        path = options.model or OUTPUT / MODEL
        if options.model is None and not path.exists():
            train = _parser().parse_args(["train", "--data", options.data or PICTURES])
            train.run(train)
        version = _version_to_prepare(path, options.data)
        model = _load(path)
        image_shape = _image_shape(model, path)
        bar = np.pad(np.ones((image_shape[0] - 4, 2)), ((2, 2), (0, image_shape[1] - 2)))
        _predict_proba(model, [bar], path)  # an error here, not at the first stroke
        answers = Answers(model, version, image_shape, *load_examples(model, version))
        app = make_app(answers, about_model(model, path, options.data))
        # Drawings may be unlike the training images.
        warnings.simplefilter("ignore", UserWarning)
        with contextlib.suppress(KeyboardInterrupt):  # the usual end
            serve(app, listening, opens_browser=not options.no_browser)
    return 0


def _load(path: Path):
    from . import load_model
    from .persistence._skops import UntrustedTypesError

    try:
        return load_model(path)
    except UntrustedTypesError as error:  # whose advice is for Python
        raise ValueError(
            f"{path} holds types that the command line does not load: "
            f"{', '.join(error.types)}. In Python, load_model(path, trusted=...) does."
        ) from error


def _version_to_prepare(path: Path, data: str | None) -> str:
    """Return the version that pictures for a model are prepared for, as its file or the user says.

    Pictures prepared for another version get wrong labels with high probabilities.
    """
    from . import read_metadata

    if not path.exists():
        raise OSError(f"no model file {path}: run `sklearn-usps train --data {PICTURES}` first")
    recorded: Any = read_metadata(path).get("version")
    said = None if data is None else _form_of(data)
    if recorded not in VERSIONS and said is None:
        of = "no version" if recorded is None else f"the version {recorded!r}"
        raise ValueError(
            f"{path} says {of} of the digits, and pictures must be prepared for what the model was "
            f"trained on: add --data, one of {', '.join((*VERSIONS, PICTURES))}"
        )
    if recorded in VERSIONS and said not in (None, recorded):
        raise ValueError(
            f"the model in {path} takes images of the version {recorded}, not those of --data "
            f"{data}: leave out --data"
        )
    return said or recorded


def _form_of(data: str) -> str:
    """Return the version whose form the images of an option --data have."""
    return "zip" if data == PICTURES else data


def _image_shape(model, path: Path) -> tuple[int, int]:
    """Return the shape of the images that a classifier takes."""
    from sklearn.utils.validation import check_is_fitted

    from ._utils._models import input_image_shape

    check_is_fitted(model, msg=f"the model in {path} is not fitted: save a fitted classifier")
    if not hasattr(model, "predict_proba"):
        raise ValueError(
            f"the model in {path} ({type(model).__name__}) has no predict_proba: save a classifier "
            "that predicts probabilities"
        )
    if len(getattr(model, "tasks_", ())) > 1:
        raise ValueError(
            f"the model in {path} has several tasks: save one of its `estimators_`, such as "
            f"estimators_[{model.tasks_[0].item()!r}]"
        )
    shape = input_image_shape(model)
    if shape is None:
        n_features = getattr(model, "n_features_in_", 0)
        shape = math.isqrt(n_features), math.isqrt(n_features)
        if n_features == 0 or math.prod(shape) != n_features:
            raise ValueError(
                f"the model in {path} takes {n_features} features, not a perfect square, and no "
                "step of it has the attribute image_shape_"
            )
    return shape


def _predict_proba(model, images: list, path: Path):
    """Return the probabilities of each class for prepared pictures."""
    import numpy as np

    with warnings.catch_warnings():
        # The classifier warns of values far from those that it was trained on.
        warnings.filterwarnings("error", "X has .* was fitted on", UserWarning)
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        try:
            return model.predict_proba(np.reshape(images, (len(images), -1)))
        except UserWarning as warning:
            raise ValueError(
                f"the model in {path} was trained on other values than those of prepared pictures, "
                f"0 to 1. {warning}"
            ) from None


def _reproduce(options: argparse.Namespace) -> int:
    from .recipes import RECIPES, recipe

    if options.seeds < 1:
        raise ValueError(f"--seeds must be at least 1. Got {options.seeds}.")
    recipe(options.name)  # raises for an unknown name before the digits are fetched
    version = options.data or RECIPES[options.name].version
    X, y, X_test, y_test = _fetch_train_test(version, options.hold_out)
    print(
        f"Recipe {options.name} on version {version}: {len(X):,} training images, {len(X_test):,} "
        + ("test images" if options.hold_out is None else "held out to test on")
    )
    print("Seed Train error Test error    Time")
    errors = []
    for seed in range(options.seeds):
        start = time.perf_counter()
        model = recipe(options.name, random_state=seed).fit(X, y)
        seconds = time.perf_counter() - start
        train_error = 1 - model.score(X, y)
        errors.append(1 - model.score(X_test, y_test))
        print(f"{seed:4d} {train_error:11.2%} {errors[-1]:10.2%} {seconds:5.1f} s", flush=True)
    print(_summary(errors))
    print(_published(RECIPES[options.name]))
    return 0


def _fetch_train_test(version: str, n_held_out: int | None = None):
    """Return X, y, X_test and y_test; the latter two are training images if some are held out."""
    from . import fetch_usps

    if n_held_out is not None and version != "zip":
        problem = f"but version {version} is sorted by class: set --data zip."
        raise ValueError(f"--hold-out needs images in random order, {problem}")
    X, y = fetch_usps(version=version, subset="train", return_X_y=True)
    if n_held_out is None:
        return X, y, *fetch_usps(version=version, subset="test", return_X_y=True)
    if not 1 <= n_held_out < len(X):
        raise ValueError(f"--hold-out must be between 1 and {len(X) - 1:,}. Got {n_held_out}.")
    return X[:-n_held_out], y[:-n_held_out], X[-n_held_out:], y[-n_held_out:]


def _summary(errors: Sequence[float]) -> str:
    """Return the mean of the test errors and, of several, their standard deviation."""
    if len(errors) == 1:
        return f"Test error {errors[0]:.2%}, one seed"
    return f"Test error {mean(errors):.2%} ± {stdev(errors):.2%} over {len(errors)} seeds"


def _published(chosen) -> str:
    """Return a line with the published result of a recipe."""
    if chosen.published is None:
        return f"Published: no figure. Source: {chosen.source}"
    return f"Published: {chosen.published} on version {chosen.version} ({chosen.source})"
