from ._classifier import ConvNetClassifier
from ._multitask import MultiTaskConvNetClassifier

__all__ = ["ConvNetClassifier", "MultiTaskConvNetClassifier"]
