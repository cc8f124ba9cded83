from ._deformations import DeformationDisplay
from ._filters import FilterDisplay
from ._misclassified import MisclassifiedDisplay
from ._training_curve import TrainingCurveDisplay

__all__ = ["DeformationDisplay", "FilterDisplay", "MisclassifiedDisplay", "TrainingCurveDisplay"]
