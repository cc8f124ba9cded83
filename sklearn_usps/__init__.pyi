from . import datasets, inspection, model_selection, neural_network, preprocessing, recipes
from .datasets import fetch_alphadigits, fetch_usps, load_mosaic, make_letters, save_mosaic
from .inspection import (
    DeformationDisplay,
    FilterDisplay,
    MisclassifiedDisplay,
    TrainingCurveDisplay,
)
from .model_selection import StackedGridSearchCV, StackedRandomizedSearchCV
from .neural_network import (
    ConvNetClassifier,
    JointConvNetClassifier,
    export_onnx,
    load_model,
    save_model,
)
from .preprocessing import ImageNormalizer, RandomDeformer, prepare_image

__version__: str

__all__ = [
    "ConvNetClassifier",
    "DeformationDisplay",
    "FilterDisplay",
    "ImageNormalizer",
    "JointConvNetClassifier",
    "MisclassifiedDisplay",
    "RandomDeformer",
    "StackedGridSearchCV",
    "StackedRandomizedSearchCV",
    "TrainingCurveDisplay",
    "datasets",
    "export_onnx",
    "fetch_alphadigits",
    "fetch_usps",
    "inspection",
    "load_model",
    "load_mosaic",
    "make_letters",
    "model_selection",
    "neural_network",
    "prepare_image",
    "preprocessing",
    "recipes",
    "save_model",
    "save_mosaic",
]
