"""
================================
When one machine is not enough
================================

Any search of scikit-learn goes to a `Dask <https://www.dask.org>`_ cluster where it is called
within ``parallel_config("dask")``. Here the cluster is two processes on this machine.
"""

# %%
# A cluster
# ---------
# ``Client("tcp://scheduler-address:8786")`` would be one of many machines, each with sklearn-usps
# installed.

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
# A search on it
# --------------
# ``scatter`` sends the images to each worker once. The networks of a fold are trained at once, in
# two stacks, one for each worker. With so little to do, sending it costs a good part of the time:
# a cluster pays where a search takes minutes.

if __name__ == "__main__":
    X, y = fetch_usps(subset="train", shuffle=True, return_X_y=True)
    X, y = X[:3000], y[:3000]
    search = BatchedGridSearchCV(
        make_pipeline(
            ImageNormalizer(), ConvNetClassifier(network="luacnn", max_epochs=5, random_state=0)
        ),
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
