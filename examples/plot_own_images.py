"""
=============================
Predictions for your pictures
=============================

A digit that you draw or photograph is larger than a training image, off center, and often dark on
light. :func:`~sklearn_usps.prepare_image` converts such a picture to the form of the training
images.
"""

# %%
# The pictures
# ------------
# For a picture in a file, call ``prepare_image("my-digit.png")``. This example draws its own: dark
# lines on a light page with a shadow.

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps, prepare_image

STROKES = {
    1: [(100, 40), (95, 200)],
    2: [(50, 80), (80, 45), (120, 50), (135, 85), (110, 130), (50, 195), (140, 190)],
    3: [(50, 50), (110, 40), (125, 80), (90, 110), (130, 140), (120, 185), (60, 200)],
    4: [(70, 40), (50, 130), (140, 125), (125, 60), (120, 205)],
    7: [(45, 50), (140, 45), (95, 120), (80, 205)],
}


def draw(points, width, ink):
    picture = Image.new("L", (220, 260), 255)
    line = [(x + 20, y + 5) for x, y in points]
    pen = ImageDraw.Draw(picture)
    pen.line(line, fill=ink, width=width)
    for x, y in line:  # round corners
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=ink)
    shadow = np.linspace(0.75, 1.0, 260)[:, None]  # darkest at the top
    return np.uint8(np.asarray(picture) * shadow)


pictures = [draw(points, 8 + 2 * digit, 10 * digit) for digit, points in STROKES.items()]
prepared = np.array([prepare_image(picture) for picture in pictures])

# %%
# The predictions
# ---------------
# The lower row shows the prepared images. Page and shadow are gone, and strokes of any width become
# about as wide as those of the training images. Each digit fills its image in both directions, as
# in the version "roweis"; this is why the 1 is so wide, as many a 1 of the training images is.

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=8, random_state=0))
model.fit(X[:5000], y[:5000])
labels = model.predict(prepared)
probabilities = model.predict_proba(prepared).max(axis=1)

figure, axes = plt.subplots(2, len(pictures), figsize=(9, 4.6), layout="constrained")
for i, digit in enumerate(STROKES):
    axes[0, i].imshow(pictures[i], cmap="gray", vmin=0, vmax=255)
    axes[0, i].set_title(f"drawn: {digit}", fontsize=11)
    axes[1, i].imshow(prepared[i], cmap="gray")
    axes[1, i].set_title(f"predicted: {labels[i]}, {probabilities[i]:.0%}", fontsize=11)
for ax in axes.flat:
    ax.set_axis_off()
figure.suptitle("Pictures and prepared images; network trained on 5,000 digits, seed 0")
plt.show()
