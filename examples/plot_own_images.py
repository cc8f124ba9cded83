"""
=============================
Predictions for your pictures
=============================

A digit that you draw or photograph is larger than a training image, off center, and often dark on
light. :func:`~sklearn_usps.prepare_image` converts such a picture to the form of the training
images, and :func:`~sklearn_usps.recipes.make_picture_digits` makes training images for digits of
writers from anywhere.
"""

# %%
# The pictures
# ------------
# For a picture in a file, call ``prepare_image("my-digit.png", version="zip")``. This example draws
# its own: dark lines on a light page with a shadow. Many writers begin the 1 with a stroke up to
# its top, and cross the 7. Those of USPS do neither.

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, prepare_image
from sklearn_usps.recipes import make_picture_digits

STROKES = [
    (1, [[(92, 40), (90, 200)]]),
    (1, [[(60, 105), (105, 40), (95, 200)]]),
    (2, [[(50, 80), (80, 45), (120, 50), (135, 85), (110, 130), (50, 195), (140, 190)]]),
    (3, [[(50, 50), (110, 40), (125, 80), (90, 110), (130, 140), (120, 185), (60, 200)]]),
    (4, [[(95, 35), (45, 140), (140, 135)], [(110, 100), (95, 200)]]),
    (7, [[(45, 50), (140, 45), (80, 205)], [(65, 125), (130, 115)]]),
]


def draw(strokes, width, ink):
    picture = Image.new("L", (220, 260), 255)
    pen = ImageDraw.Draw(picture)
    for points in strokes:
        line = [(x + 20, y + 5) for x, y in points]
        pen.line(line, fill=ink, width=width)
        for x, y in line:  # round corners
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=ink)
    shadow = np.linspace(0.75, 1.0, 260)[:, None]  # darkest at the top
    return np.uint8(np.asarray(picture) * shadow)


pictures = [draw(strokes, 10 + 3 * i, 12 * i) for i, (_, strokes) in enumerate(STROKES)]

# %%
# The predictions
# ---------------
# The training images have the form of the version "zip": the digit is upright and keeps its
# proportions. Pass this version to :func:`~sklearn_usps.prepare_image`, since a classifier misreads
# images of another form. The lower row shows the prepared images. Page and shadow are gone, and
# strokes of any width become about as wide as those of the training images.

X, y = make_picture_digits()
rows = np.random.default_rng(0).permutation(len(X))[:6000]  # all of them take longer
model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=8, random_state=0))
model.fit(X[rows], y[rows])

prepared = np.array([prepare_image(picture, version="zip") for picture in pictures])
labels = model.predict(prepared)
probabilities = model.predict_proba(prepared).max(axis=1)

figure, axes = plt.subplots(2, len(pictures), figsize=(9, 4.2), layout="constrained")
for i, (digit, _) in enumerate(STROKES):
    axes[0, i].imshow(pictures[i], cmap="gray", vmin=0, vmax=255)
    axes[0, i].set_title(f"drawn: {digit}", fontsize=11)
    axes[1, i].imshow(prepared[i], cmap="gray")
    axes[1, i].set_title(f"predicted: {labels[i]}, {probabilities[i]:.0%}", fontsize=11)
for ax in axes.flat:
    ax.set_axis_off()
figure.suptitle("Pictures and prepared images; network trained on 6,000 digits, seed 0")
plt.show()
