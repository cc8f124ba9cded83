"""The page on which one draws a digit and sees the answer of a model: ``sklearn-usps draw``."""
