"""Forked processes compute in one thread, since more would wait for each other forever.

GNU OpenMP, which torch computes with on Linux, has no threads in the child of a process in which it
had some, but does not know. torch's own data loaders set one thread in their processes too.
"""

import os

import torch


def _compute_in_one_thread() -> None:
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_compute_in_one_thread)
