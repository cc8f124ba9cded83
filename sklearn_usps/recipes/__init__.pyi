from ._picture_digits import make_picture_digits
from ._recipes import RECIPES, Recipe, recipe

__all__ = ["RECIPES", "Recipe", "make_picture_digits", "recipe"]
