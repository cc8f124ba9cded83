"""USPS handwritten digits and convolutional networks with scikit-learn's manners."""

import lazy_loader as _lazy

# Names are imported when first used, so that fetch_usps never waits for torch.
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__version__ = "0.1.0"
