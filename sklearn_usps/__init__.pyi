from . import (
    datasets,
    inspection,
    model_selection,
    networks,
    neural_network,
    persistence,
    preprocessing,
    recipes,
)
from .datasets import fetch_alphadigits, fetch_usps, load_mosaic, make_letters, save_mosaic
from .inspection import (
    AttributionDisplay,
    DeformationDisplay,
    FeatureMapDisplay,
    FilterDisplay,
    MisclassifiedDisplay,
    TrainingCurveDisplay,
)
from .model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV
from .neural_network import ConvNetClassifier, MultiTaskConvNetClassifier
from .persistence import export_onnx, load_model, read_metadata, save_model
from .preprocessing import ImageNormalizer, RandomDeformation, prepare_image

__version__: str

__all__ = [
    "AttributionDisplay",
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "ConvNetClassifier",
    "DeformationDisplay",
    "FeatureMapDisplay",
    "FilterDisplay",
    "ImageNormalizer",
    "MisclassifiedDisplay",
    "MultiTaskConvNetClassifier",
    "RandomDeformation",
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
    "networks",
    "neural_network",
    "persistence",
    "prepare_image",
    "preprocessing",
    "read_metadata",
    "recipes",
    "save_model",
    "save_mosaic",
]
