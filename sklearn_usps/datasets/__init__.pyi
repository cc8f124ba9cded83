from ._alphadigits import fetch_alphadigits
from ._letters import make_letters
from ._mosaic import load_mosaic, save_mosaic
from ._usps import fetch_usps

__all__ = ["fetch_alphadigits", "fetch_usps", "load_mosaic", "make_letters", "save_mosaic"]
