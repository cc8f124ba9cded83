"""Models as ONNX graphs."""

from __future__ import annotations

import copy
import logging
import math
import os
import warnings
from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._utils._files import write_atomically
from .._utils._models import describe, open_model, which_part
from ..networks._torch_state import default_state, exclusive, float32_by_default
from ..neural_network._classifier import ConvNetClassifier
from ..neural_network._multitask import MultiTaskConvNetClassifier
from ..preprocessing import ImageNormalizer
from ..preprocessing._normalizer import window_mean
from ..training._inference import log_probabilities, shifted_images
from ._skops import _versions


def export_onnx(model: Any, path: str | os.PathLike, *, task=None) -> None:
    """Write a fitted model to a file as an ONNX graph, from raw pixels to labels.

    ONNX Runtime and other programs run the `ONNX <https://onnx.ai>`_ graph without torch,
    scikit-learn or this library. It has an input "X" of shape (n, n_features), float32, with any n,
    and the outputs "label" of shape (n,), int64, double or string, and "probabilities" of shape
    (n, n_classes), float32, in the order of `classes_`. Probabilities differ from those of
    `predict_proba` on float32 pixels by rounding, up to 1e-5.

    Needs the extra "onnx". An existing file is replaced when the new one is complete.

    Parameters
    ----------
    model : ConvNetClassifier, MultiTaskConvNetClassifier or Pipeline
        A fitted classifier, or a fitted :class:`~sklearn.pipeline.Pipeline` of any number of
        :class:`ImageNormalizer` and a classifier. Of a fitted search, the `best_estimator_` is
        exported. A calibrated classifier is refused, since its parts are not calibrated.

    path : str or path-like
        The file to write; by convention its name ends in ".onnx".

    task : str or int, default=None
        Task of a :class:`MultiTaskConvNetClassifier` whose classifier is written. May be omitted
        if there is one task.

    Raises
    ------
    ImportError
        If `onnx` or `onnxscript` is not installed.
    NotFittedError
        If the model is not fitted.
    TypeError, ValueError
        If the model or a step of the pipeline is of another type, `task` is missing or unknown, or
        the labels are neither numbers nor strings.
    OSError
        If the file can't be written.
    torch.onnx.errors.OnnxExporterError
        If torch can't export your own network, such as one with a branch that depends on pixels.

    See Also
    --------
    save_model : Save a model for Python.

    Examples
    --------
    >>> import onnxruntime  # doctest: +SKIP
    >>> from sklearn_usps import ConvNetClassifier, export_onnx, fetch_usps
    >>> X, y = fetch_usps(return_X_y=True)  # doctest: +SKIP
    >>> export_onnx(ConvNetClassifier().fit(X, y), "digits.onnx")  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("digits.onnx")  # doctest: +SKIP
    >>> label, probabilities = session.run(None, {"X": X[:5]})  # doctest: +SKIP
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch needs it)
    except ImportError as error:
        raise ImportError(
            'export_onnx requires onnx and onnxscript: pip install "sklearn-usps[onnx]".'
        ) from error
    normalizers, classifier = _parts(model, task)
    # One thread at a time: the exporter changes filters of warnings and loggers of the process.
    with exclusive(), default_state("cpu"), float32_by_default:
        parts = [_Normalization(n, classifier.image_shape_) for n in normalizers]
        proto = _export(_Graph(parts, classifier).eval(), classifier.n_features_in_)
    _add_labels(proto, classifier.classes_)
    onnx.helper.set_model_props(proto, _versions())
    onnx.checker.check_model(proto)
    write_atomically(path, proto.SerializeToString())


def _parts(model, task) -> tuple[list[ImageNormalizer], ConvNetClassifier]:
    """Return the normalizers and the classifier of a model."""
    if isinstance(model, BaseEstimator):
        check_is_fitted(model)
    transformers, classifier = open_model(model)
    for name, step in transformers:
        if not isinstance(step, ImageNormalizer):
            raise ValueError(
                f"The step {name!r} of the pipeline can't be exported: it is {step!r}. Steps "
                "before the classifier must be ImageNormalizer."
            )
    if isinstance(classifier, MultiTaskConvNetClassifier):
        estimators = classifier.estimators_
        if task is None and len(estimators) == 1:
            (task,) = estimators
        if not isinstance(task, Hashable) or task not in estimators:
            raise ValueError(f"task must be one of {list(estimators)}. Got {task!r} instead.")
        classifier = estimators[task]
    elif not isinstance(classifier, ConvNetClassifier):
        raise TypeError(
            "model must be a ConvNetClassifier, a MultiTaskConvNetClassifier or a pipeline that "
            f"ends with one. Got {describe(model)} instead."
            + which_part(model, "n_parameters_", "model")
        )
    elif task is not None:
        raise ValueError(f"task={task!r} was given, but {type(classifier).__name__} has no tasks.")
    return [step for _, step in transformers], classifier


class _Normalization(nn.Module):
    """The transform of an `ImageNormalizer` on float32 pixels of shape (n, n_features)."""

    def __init__(self, normalizer: ImageNormalizer, image_shape: tuple[int, int]):
        super().__init__()
        self.method = normalizer._fitted_method
        self.shape = (1, math.prod(image_shape))
        if self.method in ("global", "pixel"):
            self.mean = torch.tensor(normalizer.mean_, dtype=torch.float32)
            self.scale = torch.tensor(normalizer.scale_, dtype=torch.float32)
        elif self.method == "contrast":
            # Means over windows as one matrix for each axis.
            self.shape = normalizer.image_shape_
            height, width = self.shape
            self.rows = torch.tensor(window_mean(np.eye(height)[:, :, None])[:, :, 0])
            self.columns = torch.tensor(window_mean(np.eye(width)[:, None, :])[:, 0, :])

    def forward(self, pixels):
        if self.method in ("global", "pixel"):
            return (pixels - self.mean) / self.scale
        images = pixels.double().reshape(-1, *self.shape)
        negligible = 10 * torch.finfo(torch.float32).eps * images.abs().amax((1, 2), keepdim=True)
        if self.method == "image":
            centered = images - images.mean(dim=(1, 2), keepdim=True)
            typical = scale = centered.square().mean(dim=(1, 2), keepdim=True).sqrt()
        else:
            centered = images - self._window_mean(images)
            scale = self._window_mean(centered.square()).clamp(min=0).sqrt()
            typical = scale.mean(dim=(1, 2), keepdim=True)
            scale = torch.maximum(typical, scale)
        flat = typical <= negligible
        normalized = centered / torch.where(flat, 1.0, scale)
        return torch.where(flat, 0.0, normalized).float().reshape(pixels.shape)

    def _window_mean(self, images):
        return self.rows.T @ images @ self.columns


class _Graph(nn.Module):
    """A network from raw pixels to the index of the label and the probabilities."""

    def __init__(self, normalizations, classifier: ConvNetClassifier):
        super().__init__()
        self.normalizations = nn.Sequential(*normalizations)
        self.network = copy.deepcopy(classifier.net_.module_).cpu()
        self.image_shape = classifier.image_shape_
        self.test_time_augmentation = classifier.test_time_augmentation

    def forward(self, pixels):
        images = self.normalizations(pixels).reshape(-1, 1, *self.image_shape)
        parts = shifted_images(images) if self.test_time_augmentation else [images]
        log_proba = [log_probabilities(self.network, self.network(part)) for part in parts]
        probabilities = torch.stack(log_proba).exp().mean(dim=0)
        return probabilities.argmax(dim=1), probabilities


def _export(graph: nn.Module, n_features: int):
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    with warnings.catch_warnings():
        # Warnings of torch about its own modules, and about torchvision, which is not needed.
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            return torch.onnx.export(
                graph,
                (torch.zeros(2, n_features),),
                input_names=["X"],
                output_names=["index", "probabilities"],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                dynamo=True,
                verbose=False,
            ).model_proto
        finally:
            logger.setLevel(level)


def _add_labels(proto, classes: np.ndarray) -> None:
    """Replace the output "index" by "label", since torch has no strings."""
    from onnx import TensorProto, helper

    kind = classes.dtype.kind
    if kind in "iub":
        if classes[-1] > np.iinfo(np.int64).max:
            raise ValueError(f"Labels must be of int64 in ONNX, but the largest is {classes[-1]}.")
        type_, values = TensorProto.INT64, classes.astype(np.int64).tolist()
    elif kind == "f":
        type_, values = TensorProto.DOUBLE, classes.tolist()
    elif all(isinstance(label, str) for label in classes):
        type_, values = TensorProto.STRING, [label.encode() for label in classes]
    else:
        raise ValueError(f"Labels must be numbers or strings to be exported. Got {classes!r}.")
    graph = proto.graph
    graph.initializer.append(helper.make_tensor("classes", type_, [len(classes)], values))
    graph.node.append(helper.make_node("Gather", ["classes", "index"], ["label"]))
    graph.output[0].CopyFrom(helper.make_tensor_value_info("label", type_, ["n"]))
