from ._mosaic import load_mosaic, save_mosaic
from ._usps import fetch_usps

__all__ = ["fetch_usps", "load_mosaic", "save_mosaic"]
