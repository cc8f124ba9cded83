"""Losses, learning rates and optimizers."""
