from ._onnx import export_onnx
from ._skops import load_model, save_model

__all__ = ["export_onnx", "load_model", "save_model"]
