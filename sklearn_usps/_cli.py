"""The command line: fetch digits, train on them, read one's own, repeat experiments."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

VERSIONS = ("roweis", "luacnn", "zip")
OUTPUT = Path("usps-output")
#: What the command takes before the name of a subcommand.
OWN_OPTIONS = ("-h", "--help", "--version")
MODEL, WRONG_EXAMPLES = "model.skops", "wrong-examples.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the process's exit status."""
    # Read by GNU OpenMP when torch is first imported: how long threads wait for each other before
    # they give way. By default (300,000) a fit took 25 times as long beside a program that kept
    # both processors busy; with 10,000 it took 2.7 times as long, and no longer on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in OWN_OPTIONS):
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
        description="USPS handwritten digits and convolutional networks. Without a command: train.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True)

    train = commands.add_parser(
        "train", help="train a network, test it, show and save what it gets wrong"
    )
    _add_data_option(train)
    train.add_argument("--network", default="convnet", help="the network (default: %(default)s)")
    train.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="passes over the training images (default: as built)",
    )
    train.add_argument(
        "--seed", type=int, default=0, metavar="N", help="random seed (default: %(default)s)"
    )
    train.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="FOLDER",
        help="folder for the model and the picture of the wrong examples (default: %(default)s)",
    )
    train.set_defaults(run=_train)

    fetch = commands.add_parser("fetch", help="fetch the digits into scikit-learn's data folder")
    _add_data_option(fetch)
    fetch.set_defaults(run=_fetch)

    predict = commands.add_parser(
        "predict", help="tell which digit each picture shows (one digit a picture)"
    )
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="PNG or JPEG, any size")
    predict.add_argument(
        "--model",
        type=Path,
        default=OUTPUT / MODEL,
        metavar="FILE",
        help="a saved model, trained on the version roweis or luacnn: pictures are brought into "
        "their form (default: %(default)s)",
    )
    predict.set_defaults(run=_predict)

    reproduce = commands.add_parser(
        "reproduce", help="run a recipe, with the published figure beside ours, if there is one"
    )
    reproduce.add_argument("name", metavar="NAME", help="the recipe, such as luacnn")
    _add_data_option(reproduce, default=None, shown="as published")
    reproduce.add_argument(
        "--seeds",
        type=int,
        default=5,
        metavar="N",
        help="train with the random seeds 0 to N - 1 (default: %(default)s)",
    )
    reproduce.add_argument(
        "--hold-out",
        type=int,
        metavar="N",
        help="test on the last N training images of the version zip instead of its test images, "
        "and train on the others",
    )
    reproduce.set_defaults(run=_reproduce)
    return parser


def _add_data_option(
    parser: argparse.ArgumentParser, default: str | None = "roweis", shown: str = "%(default)s"
) -> None:
    parser.add_argument(
        "--data",
        choices=VERSIONS,
        default=default,
        help=f"version of the digits (default: {shown})",
    )


def _train(options: argparse.Namespace) -> int:
    from sklearn.pipeline import make_pipeline

    from . import ConvNetClassifier, ImageNormalizer, fetch_usps, save_model

    options.output.mkdir(parents=True, exist_ok=True)  # before the work that would be lost
    train = fetch_usps(version=options.data, subset="train")
    test = fetch_usps(version=options.data, subset="test")
    print(
        f"USPS digits, version {options.data}: {len(train.data):,} training images, "
        f"{len(test.data):,} test images"
    )
    classifier = ConvNetClassifier(
        network=options.network,
        early_stopping=True,
        random_state=options.seed,
        verbose=2,
    )
    if options.epochs is not None:
        classifier.set_params(max_epochs=options.epochs)
    model = make_pipeline(ImageNormalizer(), classifier)
    start = time.perf_counter()
    model.fit(train.data, train.target)
    seconds = time.perf_counter() - start
    predicted = model.predict(test.data)
    test_error = float((predicted != test.target).mean())
    facts = {"data": options.data, "test_error": test_error, "seed": options.seed}
    # Before anything is printed, which may fail, as in a pipe to `head`.
    save_model(model, options.output / MODEL, metadata=facts)
    print(f"Trained in {seconds:.1f} s")

    _report(test.target, predicted)
    print(f"Model: {options.output / MODEL}")
    _draw_wrong_examples(model, test, options.output / WRONG_EXAMPLES)
    return 0


def _report(labels, predictions) -> None:
    """Print the report of the original demo."""
    wrong = (labels != predictions).nonzero()[0]
    print("Index Label Prediction")
    for index in wrong:
        print(f"{index:5d} {labels[index]:5d} {predictions[index]:10d}")
    print(f"Test error {len(wrong) / len(labels):.4f} ({len(wrong)} out of {len(labels)})")


def _draw_wrong_examples(model, test, path: Path) -> None:
    from . import MisclassifiedDisplay

    try:
        display = MisclassifiedDisplay.from_estimator(model, test.data, test.target)
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
    if folder.exists():
        print(f"Files: {folder}")
    return 0


def _predict(options: argparse.Namespace) -> int:
    from . import load_model, prepare_image
    from ._utils._models import input_image_shape

    if not options.model.exists():
        raise OSError(f"there is no model {options.model}: run `sklearn-usps train` first")
    model = load_model(options.model)
    if not hasattr(model, "predict_proba"):
        raise ValueError(f"the model {options.model} gives no probabilities (predict_proba)")
    image_shape = input_image_shape(model) or (16, 16)
    width = max(len(path) for path in [*options.images, "Image"])
    print(f"{'Image':{width}} Digit Probability")
    status = 0
    for path in options.images:
        try:
            image = prepare_image(path, image_shape=image_shape)
        except (OSError, ValueError) as error:  # the other pictures may be fine
            print(f"sklearn-usps: {path}: {error}", file=sys.stderr)
            status = 1
            continue
        (probabilities,) = model.predict_proba(image.reshape(1, -1))
        digit = str(model.classes_[probabilities.argmax()])
        print(f"{path:{width}} {digit:>5} {probabilities.max():11.3f}")
    return status


def _reproduce(options: argparse.Namespace) -> int:
    from . import fetch_usps
    from .recipes import RECIPES, recipe

    if options.seeds < 1:
        raise ValueError(f"--seeds must be at least 1. Got {options.seeds} instead.")
    recipe(options.name)  # an unknown name is told before the digits are fetched
    chosen = RECIPES[options.name]
    version = options.data or chosen.version
    if options.hold_out is not None and version != "zip":
        raise ValueError(
            f"--hold-out needs images in random order, those of version {version} are sorted by "
            "class: set --data zip."
        )
    X, y = fetch_usps(version=version, subset="train", return_X_y=True)
    if options.hold_out is None:
        X_test, y_test = fetch_usps(version=version, subset="test", return_X_y=True)
    else:
        if not 1 <= options.hold_out < len(X):
            raise ValueError(
                f"--hold-out must be between 1 and {len(X) - 1:,}. Got {options.hold_out} instead."
            )
        X, X_test = X[: -options.hold_out], X[-options.hold_out :]
        y, y_test = y[: -options.hold_out], y[-options.hold_out :]
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
    print(_published(chosen))
    return 0


def _summary(errors: Sequence[float]) -> str:
    """The mean of the test errors and, of several, their standard deviation."""
    if len(errors) == 1:
        return f"Test error {errors[0]:.2%}, one seed"
    return f"Test error {mean(errors):.2%} ± {stdev(errors):.2%} over {len(errors)} seeds"


def _published(chosen) -> str:
    """What to compare the result of a recipe with."""
    if chosen.published is None:
        return f"Published: no figure. Source: {chosen.source}"
    return f"Published: {chosen.published} on version {chosen.version} ({chosen.source})"
