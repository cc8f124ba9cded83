"""Make the tables and figures of the docs from the results of the benchmarks.

Run: python benchmarks/report.py
"""

import csv
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from harness import RESULTS
from matplotlib.ticker import FuncFormatter, LogLocator
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, MisclassifiedDisplay, fetch_usps

DOCS = Path(__file__).parent.parent / "docs"
#: Colors that color-blind readers can distinguish (M. Okabe and K. Ito, 2008).
OURS, OTHERS = "#0072B2", "#D55E00"
#: Offset of a name from its mark, in points, and its alignment.
RIGHT, LEFT = ((6, -3), "left"), ((-6, -3), "right")
PLACES = {
    "MLP": ((4, -12), "left"),
    "SVC": ((0, 5), "center"),
    "minibatch": ((0, -13), "center"),
    "RandomForest": LEFT,
    "AdamW": ((-4, 6), "center"),
    "10 epochs, bfloat16": LEFT,
    "bfloat16": LEFT,
}
#: Colors of the classifiers in the figure of few images.
FEW_IMAGES_COLORS = {
    "default": OURS,
    "MLP": "#E69F00",
    "SVC, tuned": OTHERS,
    "SVC": "#56B4E9",
    "RandomForest": "#009E73",
    "HistGradientBoosting": "#CC79A7",
    "KNeighbors": "#000000",
}
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def load(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def write_tables(name):
    """Write a CSV file per table, for the csv-table directive."""
    folder = DOCS / "results"
    folder.mkdir(exist_ok=True)
    for i, rows in enumerate(load(name)["tables"].values()):
        if "pass" in rows[0]:  # for the figure only
            continue
        with (folder / f"{name}-{i}.csv").open("w", newline="", encoding="utf-8") as file:
            shown = [key for key in rows[0] if key != "mean error"]  # for the figures only
            writer = csv.DictWriter(file, shown, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def draw_accuracy():
    """Plot error against training time, one axes per version of the digits."""
    result = load("accuracy")
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 5), sharey=True, layout="constrained")
    for ax, (version, rows) in zip(axes, result["tables"].items(), strict=True):
        draw_version(ax, rows)
        ax.set_title(version)
    axes[1].set_ylabel("")
    _save(figure, "accuracy")


def draw_version(ax, rows):
    """Plot error against training time of all classifiers on one version."""
    for row in rows:
        is_ours = row["classifier"].startswith(("recipe", "default"))
        x, y = max(row["seconds to train"], 0.001), 100 * row["mean error"]
        draw_point(ax, row["classifier"], x, y, is_ours=is_ours, place=LEFT if is_ours else RIGHT)
    scale_axes(ax)
    ax.set_xlabel("training time (s), median of 5 fits")
    ax.set_ylabel("error (%), mean of 5 seeds")
    ax.set_xlim(right=1000)


def draw_point(ax, name, x, y, *, is_ours, place):
    """Plot a point and the name of its classifier, at a place of its own if it has one."""
    color, marker = (OURS, "o") if is_ours else (OTHERS, "s")
    ax.plot(x, y, marker, color=color)
    name = name.removeprefix("recipe ")
    offset, side = PLACES.get(name, place)
    ax.annotate(
        name, (x, y), xytext=offset, textcoords="offset points", ha=side, fontsize=8, color=color
    )


def scale_axes(ax):
    """Make both axes logarithmic, with plain numbers."""
    ax.set(xscale="log", yscale="log")
    ax.margins(0.15)
    ax.grid(alpha=0.3)
    ax.xaxis.set_major_formatter(PLAIN)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(PLAIN)
    ax.yaxis.set_minor_formatter("")


def draw_overview():
    """Plot some digits, error against training time, and the default's mistakes."""
    train, test = fetch_usps(subset="train"), fetch_usps(subset="test")
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=0))
    model.fit(train.data, train.target)
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6), layout="constrained")
    rows = [np.hstack(train.images[train.target == digit][:10]) for digit in range(10)]
    axes[0].imshow(np.vstack(rows), cmap="gray")
    axes[0].set_axis_off()
    axes[0].set_title(f"USPS: {len(train.target):,} training images, 16 × 16 pixels")
    draw_version(axes[1], load("accuracy")["tables"]["roweis, test images"])
    axes[1].set_title("Error on 1,000 test digits")
    display = MisclassifiedDisplay.from_estimator(model, test.data, test.target, ax=axes[2])
    axes[2].set_title(f"The default network: all {len(display.indices)} errors (seed 0)")
    _save(figure, "overview")


def draw_scaling():
    """Plot time and memory of an epoch against the number of images."""
    rows = load("scaling")["tables"]["One epoch"]
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
    for network, color, marker in [("luacnn", OURS, "o"), ("default", OTHERS, "s")]:
        part = [row for row in rows if row["network"] == network]
        n_images = [row["images"] for row in part]
        for ax, key in zip(axes, ["seconds", "memory, MB"], strict=True):
            values = [row[key] for row in part]
            ax.plot(n_images, values, marker + "-", color=color, label=network)
    axes[1].plot(
        n_images_all := [row["images"] for row in rows if row["network"] == "luacnn"],
        [n * 256 / 2**20 for n in n_images_all],
        "k:",
        label="the file",
    )
    axes[0].set(title="time of one epoch", ylabel="seconds", xscale="log", yscale="log")
    axes[1].set(title="additional memory", ylabel="MB", xscale="log")
    for ax in axes:
        ax.set_xlabel("images of 16 × 16 pixels, uint8 on disk")
        ax.grid(alpha=0.3)
        ax.legend()
    axes[0].yaxis.set_major_formatter(PLAIN)
    _save(figure, "scaling")


def draw_lecun1989():
    """Plot the errors after each pass, with the published ones after the last."""
    rows = load("lecun1989")["tables"]["After each pass"]
    figure, ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for images, color in [("held out", OTHERS), ("training", OURS)]:
        part = [row for row in rows if row["images"] == images and "held out" in row["fit"]]
        passes = [row["pass"] for row in part]
        errors = np.array([row["each seed, in %"].split() for row in part], dtype=float)
        label = f"{images.replace(' ', '-')} images, five seeds"
        ax.plot(passes, errors.mean(axis=1), color=color, label=label)
        ax.fill_between(passes, errors.min(axis=1), errors.max(axis=1), color=color, alpha=0.2)
    ax.axhline(5.0, color=OTHERS, ls="--", label="published, test images, after 23 passes")
    ax.axhline(0.14, color=OURS, ls="--", label="published, training images, after 23 passes")
    ax.set(xlabel="passes over the training images", ylabel="error (%)", yscale="log")
    ax.set(xlim=(1, passes[-1]), xticks=passes[::2])
    ax.yaxis.set_major_formatter(PLAIN)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    _save(figure, "lecun1989")


def draw_few_images():
    """Plot error against the number of training images of roweis, one line per classifier."""
    key = "training images"
    rows = [row for row in load("few_images")["tables"]["Error"] if "roweis" in row[key]]
    n_images = [int(row[key].split()[1].replace(",", "")) for row in rows]
    figure, ax = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    for (name, color), marker in zip(FEW_IMAGES_COLORS.items(), "os^Dv<>", strict=True):
        mean, spread = np.array([_numbers(row[name]) for row in rows]).T
        ax.errorbar(n_images, mean, spread, color=color, marker=marker, capsize=2, label=name)
    ax.set(xscale="log", yscale="log", xticks=n_images)
    ax.set(xlabel="training images of roweis", ylabel="error on other training images (%)")
    ax.minorticks_off()
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_major_formatter(PLAIN)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, ncols=2, loc="lower left")
    _save(figure, "few_images")


def draw_frontier():
    """Plot cross-validated error against training time, one axes per version of the digits."""
    rows = load("frontier")["tables"]["Five-fold cross-validation"]
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.6), sharey=True, layout="constrained")
    for ax, version in zip(axes, ["roweis", "zip"], strict=True):
        for row in rows:
            name, x = row["settings"], float(row["seconds"])
            y = _numbers(row[f"error, {version}"])[0]
            draw_point(ax, name, x, y, is_ours=name != "AdamW", place=RIGHT)
        scale_axes(ax)
        ax.set(title=version, xlabel="training time on 10,000 images (s), median of 3 fits")
        ax.set_xlim(right=300)
    axes[0].set_ylabel("error in five folds (%)")
    _save(figure, "frontier")


def _numbers(percentages):
    """Return the numbers of a mean, or of a mean and a standard deviation, in percent."""
    return [float(part) for part in percentages.replace("%", "").split("±")]


def _save(figure, name):
    figure.savefig(DOCS / "images" / f"{name}.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    for path in sorted(RESULTS.glob("*.json")):
        write_tables(path.stem)
    draw_accuracy()
    draw_scaling()
    draw_lecun1989()
    draw_few_images()
    draw_frontier()
    draw_overview()
