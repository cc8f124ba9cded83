from . import recipes
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
    "fetch_usps",
    "load_model",
    "load_mosaic",
    "prepare_image",
    "recipes",
    "save_model",
    "save_mosaic",
]
