"""Time and memory of an epoch by the number of images, which are uint8 on disk.

The images are training images of roweis, each deformed anew. A process for each number reads them
through a memory map and fits; a thread looks every few milliseconds at how much memory the process
has of its own, and how much is pages of the file that the system keeps at hand. Linux alone tells
that.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from harness import main

from sklearn_usps import ConvNetClassifier, RandomDeformation, fetch_usps

#: Options of each network; the default one is slower, and tried on fewer images.
NETWORKS = {
    "luacnn": {"network": "luacnn", "batch_size": 256, "augmentation": None},
    "default": {},
}
SIZES = {"luacnn": (1_000, 10_000, 100_000, 1_000_000), "default": (1_000, 10_000, 100_000)}


def write_images(path, n_images):
    X, y = fetch_usps(subset="train", return_X_y=True)
    generator = torch.Generator().manual_seed(0)
    augmentation = RandomDeformation()
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n_images, 256))
    rows = np.random.default_rng(0).integers(len(X), size=n_images)
    for start in range(0, n_images, 10_000):
        part = rows[start : start + 10_000]
        deformed = augmentation(torch.from_numpy(X[part]).view(-1, 1, 16, 16), generator)
        images[start : start + 10_000] = (255 * deformed.view(-1, 256)).round().numpy()
    np.save(path.with_suffix(".labels.npy"), y[rows])


def memory():
    """Megabytes of a process's own, and of files."""
    with Path("/proc/self/status").open(encoding="ascii") as lines:
        values = dict(line.split(":") for line in lines)
    return [int(values[key].split()[0]) / 1024 for key in ("RssAnon", "RssFile")]


def fit(network, path):
    """Run in a process of its own: print seconds and the growth of memory at its highest."""
    X = np.load(path, mmap_mode="r")
    y = np.load(Path(path).with_suffix(".labels.npy"))
    options = {**NETWORKS[network], "max_epochs": 1, "random_state": 0}
    ConvNetClassifier(**options).fit(np.array(X[:1000]), y[:1000])  # warm
    before, peak, stop = memory(), memory(), threading.Event()

    def watch():
        while not stop.wait(0.005):
            peak[:] = np.maximum(peak, memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    ConvNetClassifier(**options).fit(X, y)
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    print(json.dumps([seconds, *(np.array(peak) - before)]))


def run(quick):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for network, sizes in SIZES.items():
            for n_images in sizes[: 1 if quick else None]:
                path = Path(folder) / f"{n_images}.npy"
                if not path.exists():
                    write_images(path, n_images)
                command = [sys.executable, __file__, network, str(path)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds, own, file = json.loads(output)
                rows.append(
                    {
                        "network": network,
                        "images": n_images,
                        "seconds": round(seconds, 3),
                        "µs an image": round(1e6 * seconds / n_images, 1),
                        "MB of the file": round(n_images * 256 / 2**20, 1),
                        "own MB": round(own, 1),
                        "MB kept of files": round(file, 1),
                    }
                )
    return {"An epoch": rows}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        fit(*sys.argv[1:])
    else:
        main("scaling", run)
