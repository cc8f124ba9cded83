from ._classifier import ConvNetClassifier
from ._io import load_model, save_model
from ._joint import JointConvNetClassifier

__all__ = ["ConvNetClassifier", "JointConvNetClassifier", "load_model", "save_model"]
