from ._classifier import ConvNetClassifier
from ._io import load_model, save_model
from ._joint import JointConvNetClassifier
from ._onnx import export_onnx

__all__ = ["ConvNetClassifier", "JointConvNetClassifier", "export_onnx", "load_model", "save_model"]
