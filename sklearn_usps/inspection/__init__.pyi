from ._misclassified import MisclassifiedDisplay

__all__ = ["MisclassifiedDisplay"]
