from ._onnx import export_onnx
from ._skops import load_model, read_metadata, save_model
from ._trusted_types import trusted_types

__all__ = ["export_onnx", "load_model", "read_metadata", "save_model", "trusted_types"]
