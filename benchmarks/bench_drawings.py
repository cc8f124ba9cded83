"""Errors on drawings, of networks trained on USPS as it is and on digits made for pictures.

The drawings are 500 variants of ten digits, written in strokes as in central Europe: the 1 has a
flag, the 7 no bar. Each is stretched, slanted and rotated at random, and drawn with a pen of random
width. All networks are the default with seed 0.
"""

import numpy as np
from harness import main
from PIL import Image, ImageDraw
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps, prepare_image
from sklearn_usps.recipes import make_picture_digits

SIDE, FINE = 280, 4


def arc(x, y, width, height, start, end, n=18):
    t = np.radians(np.linspace(start, end, n))
    return list(zip(x + width * np.cos(t), y + height * np.sin(t), strict=True))


#: The strokes of each digit, points (x to the right, y down) in a unit square.
STROKES = [
    [arc(0.5, 0.5, 0.28, 0.4, -90, 270)],
    [[(0.36, 0.3), (0.54, 0.1), (0.54, 0.9)]],
    [[*arc(0.5, 0.32, 0.25, 0.22, -170, 30), (0.28, 0.88), (0.76, 0.88)]],
    [[*arc(0.46, 0.3, 0.24, 0.2, -150, 90), *arc(0.46, 0.69, 0.27, 0.21, -90, 150)]],
    [[(0.6, 0.1), (0.22, 0.62), (0.8, 0.62)], [(0.6, 0.36), (0.6, 0.92)]],
    [[(0.72, 0.12), (0.34, 0.12), (0.3, 0.48), *arc(0.47, 0.66, 0.25, 0.23, -120, 140)]],
    [[(0.62, 0.1), (0.4, 0.34), *arc(0.5, 0.66, 0.23, 0.24, 190, -170)]],
    [[(0.24, 0.14), (0.76, 0.14), (0.44, 0.9)]],
    [arc(0.5, 0.3, 0.2, 0.2, 90, 450) + arc(0.5, 0.7, 0.24, 0.2, -90, 270)],
    [[*arc(0.48, 0.32, 0.22, 0.22, 0, 360), (0.7, 0.32), (0.66, 0.9)]],
]


def draw(digit, rng):
    """Return a picture of a variant of a digit, dark on light."""
    angle, slant = np.radians(rng.uniform(-12, 12)), rng.uniform(-0.4, 0.4)
    stretch, pen = np.diag(rng.uniform(0.35, 0.95, 2)), rng.uniform(8, 30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    strokes = [np.array(s) @ (turn @ [[1, -slant], [0, 1]] @ stretch).T for s in STROKES[digit]]
    points = np.concatenate(strokes)
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    margin = (pen + 6) / SIDE
    scale = min(1, *((1 - 2 * margin) / size))
    corner = rng.uniform(margin, np.maximum(margin, 1 - margin - scale * size))
    picture = Image.new("L", (FINE * SIDE, FINE * SIDE), 255)
    context, radius = ImageDraw.Draw(picture), FINE * pen / 2
    for stroke in strokes:
        places = [tuple(at) for at in FINE * SIDE * ((stroke - low) * scale + corner)]
        context.line(places, fill=0, width=round(2 * radius), joint="curve")
        for x, y in places:
            context.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return picture.resize((SIDE, SIDE), Image.Resampling.BOX)


def run(quick):
    rng, y = np.random.default_rng(0), np.arange(50 if quick else 500) % 10
    pictures = [draw(digit, rng) for digit in y]
    rows = []
    for data in ("roweis", "zip", "pictures"):
        if data == "pictures":
            X_train, y_train = make_picture_digits()
        else:
            X_train, y_train = fetch_usps(version=data, subset="train", return_X_y=True)
        model = make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=0))
        if quick:
            X_train, y_train = X_train[::20], y_train[::20]
            model[-1].set_params(max_epochs=2)
        version = "roweis" if data == "roweis" else "zip"
        X = [prepare_image(picture, version=version).ravel() for picture in pictures]
        proba = model.fit(X_train, y_train).predict_proba(np.array(X))
        wrong, is_one = proba.argmax(axis=1) != y, y == 1
        rows.append(
            {
                "trained on": data,
                "error": f"{100 * wrong.mean():.1f} %",
                "error of the 1 with a flag": f"{100 * wrong[is_one].mean():.0f} %",
                "its mean probability of 1": f"{proba[is_one, 1].mean():.2f}",
                "and of 7": f"{proba[is_one, 7].mean():.2f}",
            }
        )
    return {"500 drawings": rows}


if __name__ == "__main__":
    main("drawings", run)
