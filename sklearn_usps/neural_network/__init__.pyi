from ._classifier import ConvNetClassifier
from ._io import load_model, save_model

__all__ = ["ConvNetClassifier", "load_model", "save_model"]
