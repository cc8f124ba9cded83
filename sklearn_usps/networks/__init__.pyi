from ._convnet import ConvNet
from ._historical import LeCun1989, LeNet5, LuaCNN

__all__ = ["ConvNet", "LeCun1989", "LeNet5", "LuaCNN"]
