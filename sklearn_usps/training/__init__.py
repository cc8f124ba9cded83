"""Training of a network, without any knowledge of classifiers."""
