"""A split of samples that keeps groups together, such as all images by one writer."""

from __future__ import annotations

import numpy as np

#: Number of random orders to try, and of looks at a group, which take about 10 µs each.
_N_ORDERS, _N_LOOKS = 10, 20_000


def split_groups(
    y: np.ndarray, groups: np.ndarray, classes: np.ndarray, fraction: float, random_state
) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples to keep and those to hold out: whole groups, and all classes in both.

    The held-out share of each class is as near to `fraction` as its groups allow. scikit-learn's
    `GroupShuffleSplit` ignores the classes, and a fold of its `StratifiedGroupKFold` may lack some.

    Raises
    ------
    ValueError
        If no such split is found.
    """
    present, y = np.unique(y, return_inverse=True)
    names, groups = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(present)), dtype=np.int64)
    np.add.at(counts, (groups, y), 1)
    if (alone := np.flatnonzero((counts > 0).sum(axis=0) == 1)).size:
        raise ValueError(
            "early_stopping holds out whole groups with samples of each class, but there is only "
            f"one group with {classes[present[alone]].tolist()}. Pass other groups, or X_val."
        )
    n_orders = max(1, min(_N_ORDERS, _N_LOOKS // len(names)))
    orders = (random_state.permutation(len(names)) for _ in range(n_orders))
    found = [_choose_groups(counts, fraction, order) for order in orders]
    totals = counts.sum(axis=0)
    held_out = min(found, key=lambda groups: _cost(counts[groups].sum(0), totals, fraction, 1))
    n_held_out = counts[held_out].sum(axis=0)
    if not np.all((n_held_out > 0) & (n_held_out < totals)):
        raise ValueError(
            f"early_stopping found no way to hold out some of {len(names)} groups so that all "
            f"{len(present)} classes are in both parts. Pass smaller groups, or X_val."
        )
    is_held_out = held_out[groups]
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _choose_groups(counts: np.ndarray, fraction: float, order: np.ndarray) -> np.ndarray:
    """Return True for the groups to hold out, as an order of changes finds them.

    A group changes sides if this lowers the cost: in the first round that of the shares alone, so
    that a large group is not taken for having all classes, then also that of missing classes.
    """
    chosen = np.zeros(len(counts), dtype=bool)
    totals = counts.sum(axis=0)
    held_out = np.zeros_like(totals)
    for penalty in (0, 1, 1):
        cost = _cost(held_out, totals, fraction, penalty)
        for group in order:
            changed = held_out + (-counts[group] if chosen[group] else counts[group])
            if (new_cost := _cost(changed, totals, fraction, penalty)) < cost:
                chosen[group] = not chosen[group]
                held_out, cost = changed, new_cost
    return chosen


def _cost(held_out: np.ndarray, totals: np.ndarray, fraction: float, penalty: int) -> float:
    """Return the squared distances of the shares, and a penalty for each class in one part alone.

    `held_out` and `totals` have the number of samples of each class.
    """
    distances = held_out / totals - fraction
    one_sided = np.count_nonzero((held_out == 0) | (held_out == totals))
    return float(distances @ distances) + penalty * one_sided
