from . import datasets, inspection, neural_network, preprocessing
from .datasets import fetch_usps, load_mosaic, save_mosaic
from .inspection import MisclassifiedDisplay
from .neural_network import ConvNetClassifier, load_model, save_model
from .preprocessing import ImageNormalizer, RandomDeformer, prepare_image

__version__: str

__all__ = [
    "ConvNetClassifier",
    "ImageNormalizer",
    "MisclassifiedDisplay",
    "RandomDeformer",
    "datasets",
    "fetch_usps",
    "inspection",
    "load_model",
    "load_mosaic",
    "neural_network",
    "prepare_image",
    "preprocessing",
    "save_model",
    "save_mosaic",
]
