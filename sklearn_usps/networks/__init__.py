"""Convolutional networks for small gray images, and the interface of a network.

A network is a `torch.nn.Module` class, of this package or a user's:

- ``Network(image_shape, n_classes, **network_params)`` builds it for images of one shape. A keyword
  `generator` of the constructor gets the `torch.Generator` of all random numbers of a fit.
- ``forward(images)`` takes float32 images (n, 1, height, width) and returns logits (n, n_classes).
- ``loss(logits, targets)``, optional, returns a loss per sample; the default is cross-entropy.
- ``log_proba(logits)``, optional, returns logarithms of probabilities; the default is log-softmax.
- ``features(images)``, optional, returns the last hidden layer, (n, n_features).

Activations are modules, not in place, one for each use: explanations such as DeepLift replace their
gradients. Layers are made in the order in which images pass through them, the output layer last, so
that tasks can share the first ones. `state_dict` keys are part of model files: attributes keep
their names.

`_registry.py` says how to add a network with a name.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
