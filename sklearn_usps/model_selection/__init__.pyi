from ._stacked import StackedGridSearchCV

__all__ = ["StackedGridSearchCV"]
