"""Time and memory of an epoch by the number of images, which are uint8 on disk.

The images are randomly deformed training images of roweis. For each number of images, a separate
process reads them through a memory map and fits. Meanwhile, a thread samples the memory of the
process every few milliseconds: its own (RssAnon) and the pages of mapped files in the system's
cache (RssFile). Runs on Linux only.
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

#: Parameters of each network. The default network is slower and is run on fewer images.
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
    """Return the megabytes of the process's own memory and of mapped files."""
    with Path("/proc/self/status").open(encoding="ascii") as lines:
        values = dict(line.split(":") for line in lines)
    return [int(values[key].split()[0]) / 1024 for key in ("RssAnon", "RssFile")]


def fit(network, path):
    """Fit in this process; print the seconds and the largest growth of both kinds of memory."""
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
                        "µs per image": round(1e6 * seconds / n_images, 1),
                        "file, MB": round(n_images * 256 / 2**20, 1),
                        "memory, MB": round(own, 1),
                        "page cache, MB": round(file, 1),
                    }
                )
    return {"One epoch": rows}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        fit(*sys.argv[1:])
    else:
        main("scaling", run)
