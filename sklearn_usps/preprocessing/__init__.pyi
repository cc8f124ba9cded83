from ._deformation import RandomDeformation
from ._normalizer import ImageNormalizer
from ._prepare_image import prepare_image

__all__ = ["ImageNormalizer", "RandomDeformation", "prepare_image"]
