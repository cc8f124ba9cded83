from ._onnx import export_onnx
from ._skops import load_model, read_metadata, save_model

__all__ = ["export_onnx", "load_model", "read_metadata", "save_model"]
