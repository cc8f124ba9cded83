"""Helpers that any module may use: they import nothing of this library, nor torch."""
