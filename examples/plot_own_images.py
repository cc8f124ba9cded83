"""
========================
Pictures of your own
========================

A digit that you have drawn or photographed is larger, elsewhere in the picture, dark on light:
:func:`~sklearn_usps.prepare_image` brings it into the form of the training images.
"""

# %%
# Drawn here
# ----------
# A picture of your own would be ``prepare_image("my-digit.png")``. To run anywhere, this example
# draws its digits with the mouse of a robot: lines on a light, unevenly lit page.

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
    ImageDraw.Draw(picture).line(
        [(x + 20, y + 5) for x, y in points], fill=ink, width=width, joint="curve"
    )
    page = np.linspace(0.75, 1.0, 260)[:, None]  # a shadow at the top
    return np.uint8(np.asarray(picture) * page)


pictures = [draw(points, 8 + 2 * digit, 10 * digit) for digit, points in STROKES.items()]
prepared = np.array([prepare_image(picture) for picture in pictures])

# %%
# Read
# ----
# Below each picture is what the network gets to see. Page and shadow are gone, and the digit fills
# the image in both directions, as in the version "roweis": that is why the 1 is so wide. Many a 1
# among the training images is. Strokes become about as thick as a pen's, whatever drew them.

X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=8, random_state=0))
model.fit(X[:5000], y[:5000])
labels = model.predict(prepared)
probabilities = model.predict_proba(prepared).max(axis=1)

figure, axes = plt.subplots(2, len(pictures), figsize=(9, 4.6), layout="constrained")
for i, digit in enumerate(STROKES):
    axes[0, i].imshow(pictures[i], cmap="gray", vmin=0, vmax=255)
    axes[0, i].set_title(f"drawn as {digit}", fontsize=11)
    axes[1, i].imshow(prepared[i], cmap="gray")
    axes[1, i].set_title(f"read as {labels[i]}, {probabilities[i]:.0%}", fontsize=11)
for ax in axes.flat:
    ax.set_axis_off()
figure.suptitle("Pictures, and what a network sees that was trained on 5,000 digits, seed 0")
plt.show()
