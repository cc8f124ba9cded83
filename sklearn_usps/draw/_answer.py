"""The answer of a model to a picture: its label, and views of what it saw."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.neighbors import NearestNeighbors
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
        # The page asks for both parts of an answer in turn.
        self._prepared = functools.lru_cache(maxsize=2)(self._prepare)
        self._nearest: NearestNeighbors | None = None
        self._lock = threading.Lock()

    def answer(self, picture: bytes) -> dict[str, Any]:
        """Return the answer to the file of a picture, as values of JSON.

        If the picture shows no digit, the only key is "refusal", with the words of `prepare_image`.
        """
        return self._answer_or_refuse(picture, self._first_part)

    def views(self, picture: bytes) -> dict[str, Any]:
        """Return the second part of an answer, which takes longer: other images like this one.

        They are the image shifted and rotated, with their labels, and the nearest training images.
        """
        return self._answer_or_refuse(picture, self._second_part)

    def _answer_or_refuse(self, picture: bytes, part: Callable) -> dict[str, Any]:
        try:
            image = self._prepared(picture)
        except (OSError, ValueError) as error:
            return {"refusal": str(error)}
        return part(image)

    def _prepare(self, picture: bytes) -> np.ndarray:
        file = io.BytesIO(picture)
        file.name = "The file"  # in messages
        return prepare_image(file, version=self.version, image_shape=self.image_shape)

    def _first_part(self, image: np.ndarray) -> dict[str, Any]:
        ((label, _),), proba = self._predict([image])
        return {
            "refusal": None,
            "label": label,
            "classes": list(map(str, self.model.classes_.tolist())),
            "proba": proba[0].tolist(),
            "image": image.ravel().tolist(),
            "image_shape": list(self.image_shape),
            "layers": self._layers(image),
        }

    def _second_part(self, image: np.ndarray) -> dict[str, Any]:
        shifts: list[dict[str, Any]] = [{"dx": dx, "dy": dy} for dy in SHIFTS for dx in SHIFTS]
        rotations: list[dict[str, Any]] = [{"angle": angle} for angle in ANGLES]
        best, _ = self._predict([*_shifted(image), *_rotated(image)])
        for view, (label, p) in zip([*shifts, *rotations], best, strict=True):
            view |= {"label": label, "p": p}
        return {"shifts": shifts, "rotations": rotations, "neighbors": self._neighbors(image)}

    def _predict(self, images: list[np.ndarray]) -> tuple[list[tuple[str, float]], np.ndarray]:
        """Return the label of each image and its probability, and those of all classes."""
        proba = self.model.predict_proba(np.reshape(images, (len(images), -1)))
        best = [(str(self.model.classes_[row.argmax()]), float(row.max())) for row in proba]
        return best, proba

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
                "maps": _round_to_lists(values.reshape(len(values), -1)),
            }
            for name, values in maps[1:]  # the first is the image
        ]

    def _neighbors(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Return the training images that are the nearest in the last hidden layer."""
        if self.examples is None:
            return []
        with self._lock:  # the first call computes the hidden layer of all examples
            if self._nearest is None:
                self._nearest = NearestNeighbors(n_neighbors=_N_NEIGHBORS, algorithm="brute")
                self._nearest.fit(self._features(self.examples))
        (nearest,) = self._nearest.kneighbors(
            self._features(image.reshape(1, -1)), return_distance=False
        )
        return [
            {"image": _round_to_lists(self.examples[i]), "label": str(self.labels[i])}
            for i in nearest
        ]

    def _features(self, images: np.ndarray) -> np.ndarray:
        """Return the last hidden layer, or of a classifier without one, its inputs."""
        if hasattr(self.model, "transform"):
            return self.model.transform(images)
        if isinstance(self.model, Pipeline) and len(self.model) > 1:
            return self.model[:-1].transform(images)
        return images


def _round_to_lists(values: np.ndarray) -> list:
    """Return values with three decimals as nested lists, which halves the JSON."""
    return values.astype(np.float64).round(3).tolist()


def _shifted(image: np.ndarray) -> list[np.ndarray]:
    """Return an image shifted by whole pixels, its border repeated."""
    margin = max(SHIFTS)
    padded = np.pad(image, margin, mode="edge")
    height, width = image.shape
    return [
        padded[margin - dy : margin - dy + height, margin - dx : margin - dx + width]
        for dy in SHIFTS
        for dx in SHIFTS
    ]


def _rotated(image: np.ndarray) -> list[np.ndarray]:
    """Return an image rotated about its center, counterclockwise for positive angles."""
    return [
        ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest") for angle in ANGLES
    ]
