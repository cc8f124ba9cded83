"""Streams, captured steps and copies of images on an Nvidia GPU: all that is particular to CUDA.

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

from ...networks._torch_state import exclusive

#: Largest number of fits of a search at once.
MAX_STREAMS = 10
#: Approximate number of pixels to copy at once: 64 MiB.
BLOCK_PIXELS = 2**24
#: Share of the free memory that the copy of all images may take.
_SHARE_OF_MEMORY = 1 / 4
#: Streams that no thread uses, by the index of the device, and the lock of this dict.
_free_streams: dict[int, list[torch.cuda.Stream]] = {}
_streams_lock = threading.Lock()
#: Up to torch 2.11, one capture at a time is allowed in a process, and up to 2.6 no replay beside.
_graphs_lock = threading.Lock()


def is_cuda(device: str | torch.device) -> bool:
    """Return True if a device is an Nvidia GPU."""
    return torch.device(device).type == "cuda"


def cuda_generator(device: str, generator: torch.Generator) -> torch.Generator:
    """Return a generator on the GPU, seeded from another one, which is left as it is."""
    copied = torch.Generator("cpu")
    copied.set_state(generator.get_state())
    seed = int(torch.randint(2**62, (), generator=copied, device="cpu"))
    with torch.cuda.device(device):
        index = torch.cuda.current_device()
    return torch.Generator(torch.device("cuda", index)).manual_seed(seed)


@contextmanager
def own_stream(device: str) -> Iterator[None]:
    """Let this thread compute on a stream that no other thread uses, as captures must.

    Streams are used again: torch hands out 32 in turn, so that of more, two would be the same, and
    cuBLAS reserves up to 32 MiB for each.
    """
    with torch.cuda.device(device):
        with _streams_lock:
            free = _free_streams.setdefault(torch.cuda.current_device(), [])
            stream = free.pop() if free else torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(stream):
                yield
        finally:
            stream.synchronize()
            with _streams_lock:
                free.append(stream)


def capture(step: Callable[[], dict[str, torch.Tensor]], generator: torch.Generator) -> Callable:
    """Capture a step as a CUDA graph; return a function that replays it and returns its outputs.

    A capture computes nothing. The step must have run on this stream before, when libraries choose
    their kernels. It may draw from `generator`, of which each replay draws further numbers.

    Any error that torch raises says that an operation can't be captured, such as one that waits for
    a result.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    # Not `torch.cuda.graph`, which waits for the streams of all threads and, before torch 2.10,
    # collects garbage: many times the time of a capture. While a graph is captured, up to torch
    # 2.11, no other thread can draw from torch's own generator, as a user's network may.
    with exclusive(), _graphs_lock:
        try:
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                outputs = step()
            finally:
                graph.capture_end()
        except Exception:
            # Up to torch 2.11, a failed capture leaves generators in its state, unable to draw.
            for each in (generator, torch.cuda.default_generators[torch.cuda.current_device()]):
                each.graphsafe_set_state(each.clone_state())
            raise

    def replay():
        with _graphs_lock:
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

    def __call__(self, X, rows: np.ndarray) -> torch.Tensor:
        if id(X) not in self.copies:
            self.copies[id(X)] = X, self._copy_all(X)
        copied = self.copies[id(X)][1]
        if copied is None:
            return copy_to_gpu(self.device, X, rows)
        return copied.index_select(0, torch.from_numpy(rows).to(self.device, non_blocking=True))

    def _copy_all(self, X) -> torch.Tensor | None:
        with torch.cuda.device(self.device):
            free, _ = torch.cuda.mem_get_info()
            free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()  # torch's cache
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
        with torch.cuda.device_of(part):
            done.record()
        if waiting is not None:
            waiting[1].synchronize()
            yield waiting[0]
        waiting = copied, done
    if waiting is not None:
        waiting[1].synchronize()
        yield waiting[0]
