from ._attribution import AttributionDisplay
from ._deformations import DeformationDisplay
from ._feature_maps import FeatureMapDisplay
from ._filters import FilterDisplay
from ._misclassified import MisclassifiedDisplay
from ._training_curve import TrainingCurveDisplay

__all__ = [
    "AttributionDisplay",
    "DeformationDisplay",
    "FeatureMapDisplay",
    "FilterDisplay",
    "MisclassifiedDisplay",
    "TrainingCurveDisplay",
]
