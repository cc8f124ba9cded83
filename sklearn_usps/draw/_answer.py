"""The answer of a model to a picture: its label, and views of what it saw."""

from __future__ import annotations

import io
import threading
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.pipeline import Pipeline

from ..inspection._map_recorder import feature_maps
from ..preprocessing import prepare_image

#: Shifts in pixels along each axis and rotations in degrees, of which the page shows the labels.
SHIFTS, ANGLES = range(-2, 3), range(-40, 41, 10)
_N_NEIGHBORS = 5


class Answers:
    """Answers of a fitted classifier to pictures of one digit.

    `version` is that of the digits that it was trained on, `image_shape` the shape of its images.
    `examples`, images in [0, 1] as rows, and their `labels` are some of its training images, or
    None.
    """

    def __init__(self, model, version: str, image_shape: tuple[int, int], examples, labels):
        self.model, self.version, self.image_shape = model, version, image_shape
        self.examples, self.labels = examples, labels
        self._example_features: np.ndarray | None = None
        self._features_lock = threading.Lock()

    def answer(self, picture: bytes) -> dict[str, Any]:
        """Return the answer to the file of a picture, as values of JSON.

        If the picture shows no digit, it is "refusal" alone, with the words of `prepare_image`.
        """
        file = io.BytesIO(picture)
        file.name = "The file"  # in messages
        try:
            image = prepare_image(file, version=self.version, image_shape=self.image_shape)
        except (OSError, ValueError) as error:
            return {"refusal": str(error)}
        views = [image, *_shifted(image), *_rotated(image)]
        proba = self.model.predict_proba(np.reshape(views, (len(views), -1)))
        labels = [str(label) for label in self.model.classes_.tolist()]
        best = [(labels[row.argmax()], float(row.max())) for row in proba]
        names = [{"dx": dx, "dy": dy} for dy in SHIFTS for dx in SHIFTS]
        names += [{"angle": angle} for angle in ANGLES]
        of_views = [
            {**name, "label": label, "p": p}
            for name, (label, p) in zip(names, best[1:], strict=True)
        ]
        n_shifts = len(SHIFTS) ** 2
        return {
            "refusal": None,
            "label": best[0][0],
            "classes": labels,
            "proba": proba[0].tolist(),
            "image": image.ravel().tolist(),
            "image_shape": list(self.image_shape),
            "layers": self._layers(image),
            "neighbors": self._neighbors(image),
            "shifts": of_views[:n_shifts],
            "rotations": of_views[n_shifts:],
        }

    def _layers(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Return the feature maps of each convolution, none of a model without convolutions."""
        try:
            maps = feature_maps(self.model, image.ravel())
        except ValueError:
            return []
        return [
            {
                "name": name,
                "height": values.shape[1],
                "width": values.shape[2],
                "maps": np.round(values.reshape(len(values), -1), 3).tolist(),
            }
            for name, values in maps[1:]  # the first is the image
        ]

    def _neighbors(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Return the training images that are the nearest in the last hidden layer."""
        if self.examples is None:
            return []
        with self._features_lock:  # the first call computes those of all examples
            if self._example_features is None:
                self._example_features = self._features(self.examples)
        differences = self._example_features - self._features(image.reshape(1, -1))
        nearest = np.argsort(np.linalg.norm(differences, axis=1))[:_N_NEIGHBORS]
        return [{"image": self.examples[i].tolist(), "label": str(self.labels[i])} for i in nearest]

    def _features(self, images: np.ndarray) -> np.ndarray:
        """Return the last hidden layer, or of a classifier without one, its inputs."""
        if hasattr(self.model, "transform"):
            return self.model.transform(images)
        return self.model[:-1].transform(images) if isinstance(self.model, Pipeline) else images


def _shifted(image: np.ndarray) -> list[np.ndarray]:
    """Return an image shifted by whole pixels, its border repeated."""
    most = max(SHIFTS)
    padded = np.pad(image, most, mode="edge")
    height, width = image.shape
    return [
        padded[most - dy : most - dy + height, most - dx : most - dx + width]
        for dy in SHIFTS
        for dx in SHIFTS
    ]


def _rotated(image: np.ndarray) -> list[np.ndarray]:
    """Return an image rotated about its center, counterclockwise for positive angles."""
    return [
        ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest") for angle in ANGLES
    ]
