from ._deformer import RandomDeformer
from ._normalizer import ImageNormalizer
from ._prepare import prepare_image

__all__ = ["ImageNormalizer", "RandomDeformer", "prepare_image"]
