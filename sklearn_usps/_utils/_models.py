"""The parts of a fitted model, and the images that it takes."""

import math


def split_model(model):
    """The transformers before the last step, or None, and the last step itself.

    A search stands for its best estimator.
    """
    model = getattr(model, "best_estimator_", model)
    if not hasattr(model, "steps"):
        return None, model
    return (model[:-1] if len(model) > 1 else None), model[-1]


def input_image_shape(model, n_features):
    """The shape of the images of `n_features` pixels that a model takes, None if none knows it.

    A step may change the size of the images, so it is the first that knows images of this size.
    """
    model = getattr(model, "best_estimator_", model)
    steps = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    shapes = [getattr(step, "image_shape_", None) for step in steps]
    fitting = [shape for shape in shapes if shape is not None and math.prod(shape) == n_features]
    return fitting[0] if fitting else None
