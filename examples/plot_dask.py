"""
==========================
Searches on a Dask cluster
==========================

Inside ``parallel_config("dask")``, the fits of a search run on a `Dask <https://www.dask.org>`_
cluster. In this example the cluster is two processes on the same machine.
"""

# %%
# The cluster
# -----------
# ``Client("tcp://scheduler-address:8786")`` connects to a cluster of several machines instead.
# Install sklearn-usps on each of them.

import time

import numpy as np
from dask.distributed import Client
from joblib import parallel_config
from sklearn.pipeline import make_pipeline

from sklearn_usps import BatchedGridSearchCV, ConvNetClassifier, ImageNormalizer, fetch_usps

if __name__ == "__main__":
    client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
    print(f"{len(client.scheduler_info()['workers'])} workers")

# %%
# The search
# ----------
# ``scatter`` sends the images to each worker once. The search splits the eight networks of a fold
# into two batches, one for each worker. Sending so small a search takes a good part of its time: a
# cluster pays off for searches of several minutes.

if __name__ == "__main__":
    X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
    X, y = X[:3000], y[:3000]
    classifier = ConvNetClassifier(network="luacnn", max_epochs=5, random_state=0)
    search = BatchedGridSearchCV(
        make_pipeline(ImageNormalizer(), classifier),
        {"convnetclassifier__lr": np.geomspace(0.001, 0.1, 8)},
        cv=3,
    )
    start = time.perf_counter()
    with parallel_config("dask", scatter=[X, y]):
        search.fit(X, y)
    print(f"24 fits in {time.perf_counter() - start:.1f} s")
    best = search.best_params_["convnetclassifier__lr"]
    print(f"Best: lr={best:.3f}, error {1 - search.best_score_:.1%} in three folds")
    client.close()
