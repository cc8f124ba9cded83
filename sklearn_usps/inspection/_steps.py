"""The parts of a fitted model."""


def split_model(model):
    """The transformers before the last step, or None, and the last step itself.

    A search stands for its best estimator.
    """
    model = getattr(model, "best_estimator_", model)
    if not hasattr(model, "steps"):
        return None, model
    return (model[:-1] if len(model) > 1 else None), model[-1]
