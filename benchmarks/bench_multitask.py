"""Time and test errors of multi-task training on digits and letters, against separate networks.

Run: python benchmarks/bench_multitask.py [--quick]

The digits are the 10,000 training images of roweis. The letters are the Binary Alphadigits without
"O", whose images are those of zeros. The last 9 images of each letter are for testing; each seed
draws its training letters from the others.
"""

from functools import partial
from itertools import product

import numpy as np
import torch
from harness import interleaved, main, percent, ratio
from joblib import Parallel, delayed
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    fetch_alphadigits,
    fetch_usps,
    make_letters,
)

N_PER_LETTER = (5, 10, 20, 30)


def concatenate(digits, letters):
    """Return X, y and task of digits and letters."""
    (X_digits, y_digits), (X_letters, y_letters) = digits, letters
    X = np.vstack([X_digits, X_letters])
    y = np.concatenate([y_digits.astype(str), y_letters])
    return X, y, np.repeat(["digits", "letters"], [len(y_digits), len(y_letters)])


# Time


def times(quick):
    n_runs, n_epochs = (1, 1) if quick else (7, 5)
    digits = fetch_usps(subset="train", return_X_y=True)
    many = make_letters(10_000, random_state=0)
    few = letters_to_train(30, seed=0)
    rows = []
    for network, letters in product(("convnet", "luacnn"), (many, few)):
        params = {"network": network, "max_epochs": n_epochs, "batch_size": 128, "random_state": 0}
        # Multi-task training repeats few letters in an epoch and takes few of them per batch. The
        # two fits do the same.
        passes = np.sqrt(len(digits[1]) / len(letters[1]))
        repeated = {"max_epochs": round(passes * n_epochs), "batch_size": round(128 / passes)}
        seconds = interleaved(
            {
                "multi-task": partial(fit_multi_task, concatenate(digits, letters), params),
                "repeated": partial(fit_both, digits, letters, params, repeated),
                "defaults": partial(fit_both, digits, letters, params, {}),
            },
            n_runs,
        )
        rows.append(
            {
                "network": network,
                "digits": f"{len(digits[1]):,}",
                "letters": f"{len(letters[1]):,}",
                "seconds, multi-task": f"{np.median(seconds['multi-task']):.1f}",
                "seconds, two fits": f"{np.median(seconds['repeated']):.1f}",
                "ratio": ratio(seconds["multi-task"], seconds["repeated"]),
                "ratio to two fits of 5 epochs of batches of 128": ratio(
                    seconds["multi-task"], seconds["defaults"]
                ),
            }
        )
    return rows


def fit_multi_task(data, params):
    X, y, task = data
    MultiTaskConvNetClassifier(ConvNetClassifier(**params)).fit(X, y, task=task)


def fit_both(digits, letters, params, letter_params):
    ConvNetClassifier(**params).fit(*digits)
    ConvNetClassifier(**{**params, **letter_params}).fit(*letters)


# Errors


def letters_to_train(n_per_letter, seed):
    """Draw letters from the first 30 of each."""
    letters = fetch_alphadigits(drop_o=True, image_shape=(16, 16))
    rng = np.random.default_rng(seed)
    pool = np.arange(len(letters.target)).reshape(25, 39)[:, :30]
    rows = np.concatenate([rng.permutation(of_class)[:n_per_letter] for of_class in pool])
    return letters.data[rows], letters.target[rows]


def letters_to_test():
    letters = fetch_alphadigits(drop_o=True, image_shape=(16, 16))
    rows = np.arange(len(letters.target)).reshape(25, 39)[:, 30:].ravel()
    return letters.data[rows], letters.target[rows]


def error_alone(train, test, seed, **params):
    classifier = ConvNetClassifier(random_state=seed, **params)
    return 1 - make_pipeline(ImageNormalizer(), classifier).fit(*train).score(*test)


def errors_multi_task(digits, letters, test_digits, test_letters, seed, **params):
    X, y, task = concatenate(digits, letters)
    classifier = MultiTaskConvNetClassifier(ConvNetClassifier(random_state=seed, **params))
    model = make_pipeline(ImageNormalizer(), classifier)
    model.fit(X, y, multitaskconvnetclassifier__task=task)
    wrong_digits = model.predict(test_digits[0], task="digits") != test_digits[1].astype(str)
    wrong_letters = model.predict(test_letters[0], task="letters") != test_letters[1]
    return wrong_digits.mean(), wrong_letters.mean()


def errors_of_seed(seed, n_per_letter, quick):
    """Return the test errors of each way of training; of digits alone if `n_per_letter` is None."""
    torch.set_num_threads(1)
    params = {"max_epochs": 1} if quick else {}
    digits, test_digits = (
        fetch_usps(subset=subset, return_X_y=True) for subset in ("train", "test")
    )
    if n_per_letter is None:
        return error_alone(digits, test_digits, seed, **params)
    letters, test_letters = letters_to_train(n_per_letter, seed), letters_to_test()
    return (
        *errors_multi_task(digits, letters, test_digits, test_letters, seed, **params),
        error_alone(letters, test_letters, seed, **params),
    )


def errors(quick):
    seeds, numbers = (range(2), (5,)) if quick else (range(10), N_PER_LETTER)
    tasks = list(product((None, *numbers), seeds))
    found = Parallel(n_jobs=2)(delayed(errors_of_seed)(seed, n, quick) for n, seed in tasks)
    by_number = {n: [e for (m, _), e in zip(tasks, found, strict=True) if m == n] for n, _ in tasks}
    alone = by_number.pop(None)
    rows = []
    for n, of_seeds in by_number.items():
        digits, letters, letters_alone = zip(*of_seeds, strict=True)
        rows.append(
            {
                "images per letter": n,
                "letters alone": percent(letters_alone),
                "letters, multi-task": percent(letters),
                "digits alone": percent(alone),
                "digits, multi-task": percent(digits),
            }
        )
    return rows


def run(quick):
    return {
        "Seconds of a multi-task fit and of two fits, 5 epochs": times(quick),
        "Test errors, 10 seeds": errors(quick),
    }


if __name__ == "__main__":
    main("multitask", run)
