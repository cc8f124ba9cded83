"""Streams, recorded steps and copies of images on an Nvidia GPU: all that is particular to CUDA.

The functions are for a `device` "cuda", with or without an index. torch's notes on CUDA semantics
describe streams, graphs and pinned memory: https://docs.pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches

#: Largest number of fits at once. torch has 32 streams and hands them out in turn, so that of more
#: threads two might share one.
MAX_STREAMS = 10
#: Approximate number of pixels to copy at once: 64 MiB.
BLOCK_PIXELS = 2**24
#: Share of the free memory that the copy of all images may take.
_SHARE_OF_MEMORY = 1 / 4
_thread = threading.local()
#: torch allows one recording at a time in a process.
_recording = threading.Lock()


def is_cuda(device: str | torch.device) -> bool:
    """Return True if a device is an Nvidia GPU."""
    return torch.device(device).type == "cuda"


def cuda_generator(device: str, generator: torch.Generator) -> torch.Generator:
    """Return a generator on the GPU, seeded from another one."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.cuda.device(device):
        index = torch.cuda.current_device()
    return torch.Generator(torch.device("cuda", index)).manual_seed(seed)


@contextmanager
def own_stream(device: str) -> Iterator[None]:
    """Let this thread compute on a stream of its own, as recordings must.

    A thread keeps its stream, since cuBLAS reserves up to 32 MB for each stream that it sees.
    """
    with torch.cuda.device(device):
        streams = vars(_thread).setdefault("streams", {})
        index = torch.cuda.current_device()
        if index not in streams:
            streams[index] = torch.cuda.Stream()
        stream = streams[index]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            try:
                yield
            finally:
                stream.synchronize()


def record(step: Callable[[], dict[str, torch.Tensor]], generator: torch.Generator) -> Callable:
    """Record a step as a CUDA graph; return a function that replays it and returns its outputs.

    Recording computes nothing. The step must have run on this stream before, when libraries choose
    their kernels. It may draw from `generator`, of which a replay draws further numbers.

    Raises
    ------
    RuntimeError
        If an operation can't be recorded, such as one that waits for a result.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    try:
        # Not `torch.cuda.graph`, which waits for the streams of all threads and, before torch 2.10,
        # collects garbage: many times the time of a recording.
        with _recording:
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                outputs = step()
            finally:
                graph.capture_end()
    except RuntimeError:
        # Up to torch 2.11 a failed recording leaves generators in its state, unable to draw.
        for each in (generator, torch.cuda.default_generators[torch.cuda.current_device()]):
            each.graphsafe_set_state(each.clone_state())
        raise

    def replay():
        graph.replay()
        return {name: output.clone() for name, output in outputs.items()}

    return replay


def copy_to_gpu(device: str, X, rows) -> torch.Tensor:
    """Copy some rows of an array to the GPU in float32, through pinned memory."""
    part = X[rows]
    pinned = torch.empty(part.shape, dtype=torch.float32, device="cpu", pin_memory=True)
    np.copyto(pinned.numpy(), part, casting="unsafe")
    return pinned.to(device, non_blocking=True)


class ImageReader:
    """Reads rows of arrays of images onto a GPU: all of an array at its first use, if they fit."""

    def __init__(self, device: str):
        self.device = device
        #: An array and its copy on the GPU, or None where it is too large, by the array's id.
        self.copies: dict[int, tuple[Any, torch.Tensor | None]] = {}

    def __call__(self, X, rows) -> torch.Tensor:
        if id(X) not in self.copies:
            self.copies[id(X)] = X, self._copy_all(X)
        copied = self.copies[id(X)][1]
        if copied is None:
            return copy_to_gpu(self.device, X, rows)
        if isinstance(rows, slice):
            return copied[rows]
        # Other ways of indexing wait for the GPU.
        on_gpu = torch.from_numpy(rows).to(self.device, non_blocking=True)
        return copied.index_select(0, on_gpu)

    def _copy_all(self, X) -> torch.Tensor | None:
        free, _ = torch.cuda.mem_get_info(self.device)
        if X.size * torch.float32.itemsize > free * _SHARE_OF_MEMORY:
            return None
        copied = torch.empty(X.shape, dtype=torch.float32, device=self.device)
        for rows in gen_batches(len(X), max(1, BLOCK_PIXELS // math.prod(X.shape[1:]))):
            copied[rows] = copy_to_gpu(self.device, X, rows)
        return copied


def copy_to_cpu(parts: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield copies of tensors on the CPU, each of them while the GPU computes the next one."""
    waiting = None
    for part in parts:
        copied, done = part.to("cpu", non_blocking=True), torch.cuda.Event()
        done.record(torch.cuda.current_stream(part.device))
        if waiting is not None:
            waiting[1].synchronize()
            yield waiting[0]
        waiting = copied, done
    if waiting is not None:
        waiting[1].synchronize()
        yield waiting[0]
