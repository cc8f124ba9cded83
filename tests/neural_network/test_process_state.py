"""The state of the user's process: results do not depend on it, and it is left as it was found."""

import contextlib
import copy
import io
import os
import pickle
import random
import subprocess
import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from sklearn_usps import (
    AttributionDisplay,
    BatchedGridSearchCV,
    ConvNetClassifier,
    DeformationDisplay,
    FeatureMapDisplay,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
    export_onnx,
    load_model,
    save_model,
)
from sklearn_usps.networks._registry import NETWORKS


class Own(nn.Module):
    """A user's network, which makes tensors of the default dtype on the default device."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        height, width = image_shape
        self.filters = nn.Conv2d(1, 3, 3, padding=1)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(3 * height * width, n_classes)
        self.gain = nn.Parameter(torch.tensor(1.5))

    def features(self, images):
        return self.filters(images).relu().flatten(1) * self.gain

    def forward(self, images):
        noise = torch.randn(images.shape[0], 1) * 0.01 if self.training else torch.zeros(1)
        logits = self.output(self.dropout(self.features(images)))
        return logits + noise + torch.arange(3).float().mean()


def make(network="luacnn", **params):
    defaults = {"max_epochs": 1, "batch_size": 32, "device": "cpu", "random_state": 0}
    return ConvNetClassifier(network=network, **defaults | params)


def figures(history):
    return [{key: value for key, value in row.items() if key != "dur"} for row in history]


def results(network, data, folder):
    """Return what the main paths compute, by name: exact values."""
    X, y = data
    task = np.where(np.arange(len(X)) < 60, "first", "last")
    found = {}
    classifier = make(network, early_stopping=True, lr_scaling="fan-in").fit(X, y)
    found["history"] = figures(classifier.history_)
    found["predict"] = classifier.predict(X)
    found["proba"] = classifier.predict_proba(X)
    found["log_proba"] = classifier.predict_log_proba(X)
    found["decision"] = classifier.decision_function(X)
    found["transform"] = np.asarray(classifier.transform(X))
    found["score"] = classifier.score(X, y, np.full(len(y), 1e-300))
    found["net"] = classifier.net_.predict_proba(X)
    found["copy"] = copy.deepcopy(classifier).predict_proba(X)
    save_model(classifier, folder / "model.skops")
    trusted = [Own, "builtins.type"]
    loaded = load_model(folder / "model.skops", trusted=trusted)
    found["loaded"] = loaded.predict_proba(X)
    augmented = classifier.set_params(test_time_augmentation=True)
    found["shifts"] = augmented.predict_proba(X)
    partial = make(network).partial_fit(X, y, classes=[0, 1, 2])
    partial = pickle.loads(pickle.dumps(partial)).partial_fit(X, y)
    found["partial"] = partial.predict_proba(X)
    tasks = MultiTaskConvNetClassifier(make(network)).fit(X, y, task=task)
    tasks = pickle.loads(pickle.dumps(tasks)).partial_fit(X, y, task=task)
    found["tasks"] = tasks.predict_proba(X, task=task)
    search = BatchedGridSearchCV(make(network), {"lr": [0.01, 0.02]}, cv=2).fit(X, y)
    found["search"] = search.cv_results_["mean_test_score"], search.predict_proba(X)
    normalizer = ImageNormalizer(method="pixel")
    found["normalized"] = np.asarray(normalizer.fit_transform(X.astype(np.float32) * 1e-30))
    display = DeformationDisplay.from_estimator(classifier, X, max_images=2, random_state=0)
    found["deformed"] = display.deformed
    found["maps"] = FeatureMapDisplay.from_estimator(classifier, X[:1]).maps
    found["attributions"] = AttributionDisplay.from_estimator(classifier, X[:1]).attributions
    plt.close("all")
    for part in (classifier, loaded, partial, tasks):
        check_tensors(part.net_)
    return found


def check_tensors(net):
    """Check that further training and other states of the process can use all tensors."""
    states = net.optimizer_.state.values()
    of_optimizer = [v for state in states for v in state.values() if torch.is_tensor(v)]
    for tensor in [*net.module_.state_dict().values(), *of_optimizer]:
        assert not tensor.is_inference()
        assert tensor.device.type == "cpu"
        assert tensor.dtype in (torch.float32, torch.int64)
    assert all(p.requires_grad and p.is_leaf for p in net.module_.parameters())


def assert_same(found, expected):
    for name, value in expected.items():
        np.testing.assert_equal(found[name], value, err_msg=name)
        if isinstance(value, np.ndarray):
            assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name


@contextlib.contextmanager
def setting(get, set_, value):
    """Change a setting; on leaving, check that it was not changed again."""
    before = get()
    set_(value)
    try:
        yield
    finally:
        found = get()
        set_(before)
    assert found == value


def default_dtype(dtype):
    return setting(torch.get_default_dtype, torch.set_default_dtype, dtype)


@contextlib.contextmanager
def meta_device_by_default():
    torch.set_default_device("meta")
    try:
        yield
        assert torch.empty(0).device.type == "meta"
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def denormals_flushed():
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush denormal numbers")
    try:
        yield
        assert sys.float_info.min / 2 == 0
    finally:
        torch.set_flush_denormal(False)


@contextlib.contextmanager
def warnings_as_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextlib.contextmanager
def numpy_errors():
    with np.errstate(all="raise"):
        yield
        assert set(np.geterr().values()) == {"raise"}


@contextlib.contextmanager
def without_gradients(context, is_inference):
    with context():
        yield
        assert not torch.is_grad_enabled()
        assert torch.is_inference_mode_enabled() == is_inference


@contextlib.contextmanager
def autocast():
    with torch.autocast("cpu", torch.bfloat16):
        yield
        assert torch.is_autocast_enabled("cpu")


@contextlib.contextmanager
def configured(**options):
    with sklearn.config_context(**options):
        before = sklearn.get_config()
        yield
        assert sklearn.get_config() == before


@contextlib.contextmanager
def without_console():
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        yield


class FunctionMode(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


def matmul_precision():
    return setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium")


@contextlib.contextmanager
def many_states():
    """Be in many states at once; on leaving, each checks that it is as it was."""
    names = ("float64", "in meta device", "inference mode", "autocast", "numpy errors")
    with contextlib.ExitStack() as stack:
        for name in (*names, "medium precision", "denormals flushed"):
            stack.enter_context(STATES[name]())
        yield


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "meta device": meta_device_by_default,
    "in meta device": lambda: torch.device("meta"),
    "deterministic algorithms": deterministic,
    "autocast": autocast,
    "inference mode": lambda: without_gradients(torch.inference_mode, True),
    "no_grad": lambda: without_gradients(torch.no_grad, False),
    "no gradients": lambda: setting(torch.is_grad_enabled, torch.set_grad_enabled, False),
    "warnings as errors": warnings_as_errors,
    "numpy errors": numpy_errors,
    "assume_finite": lambda: configured(assume_finite=True, skip_parameter_validation=True),
    "pandas": lambda: configured(transform_output="pandas", working_memory=1),
    "metadata routing": lambda: configured(enable_metadata_routing=True),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "denormals flushed": denormals_flushed,
    "medium precision": matmul_precision,
    "function mode": FunctionMode,
    "dispatch mode": lambda: FlopCounterMode(display=False),
    "no console": without_console,
}


@pytest.fixture(scope="module")
def expected(bars, tmp_path_factory):
    """The results of the untouched process."""
    folder = tmp_path_factory.mktemp("models")
    return {network: results(network, bars, folder) for network in ("luacnn", Own)}


def random_states():
    numpy_state = np.random.get_state()  # noqa: NPY002 (the state that a user's program has)
    return (
        torch.get_rng_state().tolist(),
        numpy_state[1].tolist(),
        numpy_state[2],
        random.getstate(),
    )


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("network", ["luacnn", Own], ids=["named", "own"])
def test_the_results_are_the_same_bits_in_every_state(network, state, expected, bars, tmp_path):
    before = random_states(), torch.get_num_threads()
    with STATES[state]():
        found = results(network, bars, tmp_path)
    assert (random_states(), torch.get_num_threads()) == before
    assert_same(found, expected[network])


@pytest.mark.parametrize("network", sorted(set(NETWORKS) - {"luacnn"}))
def test_every_network_by_name_is_trained_in_float32_on_the_cpu(network, bars, tmp_path):
    X, y = bars
    fitted = make(network).fit(X, y)
    with many_states():
        other = make(network).fit(X, y)
        save_model(other, tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        proba = other.predict_proba(X), loaded.predict_proba(X)
    for each in (*proba, loaded.predict_proba(X)):
        np.testing.assert_array_equal(each, fitted.predict_proba(X), strict=True)
    check_tensors(loaded.partial_fit(X, y).net_)


@pytest.mark.parametrize("network", ["luacnn", Own], ids=["named", "own"])
def test_a_classifier_of_one_state_is_trained_further_in_another(network, bars):
    X, y = bars
    params = {"warm_start": True, "lr_schedule": "constant"}
    plain = make(network, **params).fit(X, y).partial_fit(X, y).fit(X, y)
    with torch.inference_mode(), default_dtype(torch.float64):
        mixed = make(network, **params).fit(X, y)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        mixed.partial_fit(X, y)
    mixed.fit(X, y)
    np.testing.assert_array_equal(mixed.predict_proba(X), plain.predict_proba(X))


class Noisy(torch.optim.SGD):
    """An optimizer that draws noise from torch's global generator."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(torch.randn(parameter.shape) * 1e-3)
        return loss


def brighten(images, generator):
    return images + torch.rand(1) * 0.1 * torch.ones(images.shape[-1])


@pytest.mark.parametrize(
    "params",
    [
        {"augmentation": brighten},
        {"optimizer": Noisy},
        {"optimizer": torch.optim.NAdam},  # with a product of factors in the default dtype
        {"optimizer": torch.optim.LBFGS, "lr": 0.1},
    ],
    ids=lambda params: getattr(next(iter(params.values())), "__name__", None),
)
@pytest.mark.parametrize("state", ["float64", "meta device", "inference mode", "autocast"])
def test_augmentations_and_optimizers_of_a_user(params, state, bars):
    X, y = bars
    before = random_states()
    fitted = make(**params).fit(X, y)
    torch.manual_seed(random.randrange(2**31))
    with STATES[state]():
        other = make(**params).fit(X, y)
    torch.set_rng_state(torch.tensor(before[0], dtype=torch.uint8))
    assert figures(other.history_) == figures(fitted.history_)
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))


class Failing(Own):
    """A network that fails in its third batch, as its class says."""

    error: BaseException = ValueError("no third batch")
    n_batches = 0

    def forward(self, images):
        if self.training:
            type(self).n_batches += 1
            if self.n_batches == 3:
                raise self.error
        return super().forward(images)


@pytest.mark.parametrize("error", [ValueError("no third batch"), KeyboardInterrupt()])
def test_the_state_is_restored_after_an_error(error, bars):
    Failing.error, Failing.n_batches = error, 0
    before = random_states()
    with many_states(), pytest.raises(type(error)):
        make(Failing).fit(*bars)
    assert random_states() == before
    # No lock is left taken either.
    make(Own).fit(*bars)


def test_a_file_that_claims_a_huge_network_is_measured_on_the_meta_device(bars, tmp_path):
    classifier = make("convnet", network_params={"n_channels": (4,)})
    classifier.fit(*bars)
    state = classifier.__getstate__()
    state["_network"] = ("convnet", {"n_channels": (2**17,) * 3})
    for context in (contextlib.nullcontext(), torch.device("cpu"), default_dtype(torch.float64)):
        with context, pytest.raises(ValueError, match="the weights are not those"):
            ConvNetClassifier().__setstate__(copy.deepcopy(state))


@pytest.mark.parametrize(
    ("library", "part", "precision"),
    [("mkldnn", "matmul", "bf16"), ("mkldnn", "conv", "bf16"), ("cuda", "matmul", "tf32")],
)
def test_precisions_of_parts(library, part, precision, bars):
    backend = getattr(getattr(torch.backends, library), part, None)
    if not hasattr(backend, "fp32_precision"):
        pytest.skip("this version of torch has one precision for all")
    fitted = make(Own).fit(*bars).predict_proba(bars[0])
    before = backend.fp32_precision
    backend.fp32_precision = precision
    try:
        other = make(Own).fit(*bars).predict_proba(bars[0])
        assert backend.fp32_precision == precision
    finally:
        backend.fp32_precision = before
    np.testing.assert_array_equal(other, fitted)


@pytest.mark.parametrize("network", ["luacnn", Own], ids=["named", "own"])
def test_onnx_graphs_are_the_same_in_every_state(network, bars, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    X, _ = bars
    classifier = make(network).fit(*bars)
    graphs = [tmp_path / "plain.onnx", tmp_path / "other.onnx"]
    export_onnx(classifier, graphs[0])
    with default_dtype(torch.float64), torch.inference_mode(), torch.device("meta"):
        export_onnx(classifier, graphs[1])
    plain, other = (onnxruntime.InferenceSession(graph).run(None, {"X": X}) for graph in graphs)
    np.testing.assert_array_equal(plain[1], other[1])


def test_deformation_is_computed_in_the_dtype_of_the_images(bars):
    images = torch.from_numpy(bars[0]).view(-1, 1, 16, 16)

    def deform():
        return RandomDeformation()(images, torch.Generator("cpu").manual_seed(0))

    plain = deform()
    for state in ("autocast", "float64", "meta device"):
        with STATES[state]():
            assert torch.equal(deform(), plain)


def test_output_without_a_console(bars, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    make(verbose=2, early_stopping=True).fit(*bars)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    make(verbose=2, max_epochs=2).fit(*bars)
    assert sys.stdout.getvalue().count("Epoch") == 2


def test_a_warning_names_the_line_of_the_user(bars):
    classifier = make().fit(*bars)
    for method in ("predict", "predict_proba", "predict_log_proba", "transform"):
        with pytest.warns(UserWarning, match="Scale X as in fit") as record:
            getattr(classifier, method)(bars[0] * 100)
        assert [warning.filename for warning in record] == [__file__]


def _array_api():
    """Return the variables that turn on scikit-learn's array API, where it can be."""
    try:
        import array_api_compat  # noqa: F401 (before scikit-learn 1.7 a package of its own)
    except ImportError:
        if sklearn.__version__ < "1.7":
            return {}
    return {"SCIPY_ARRAY_API": "1"}


def test_other_ways_to_start_python():
    code = """
import sys
import numpy as np, sklearn
from sklearn_usps import ConvNetClassifier
X, y = np.random.default_rng(0).random((60, 64)), np.arange(60) % 3
with sklearn.config_context(array_api_dispatch="SCIPY_ARRAY_API" in os.environ):
    classifier = ConvNetClassifier(network="luacnn", max_epochs=1, device="cpu", random_state=0)
    classifier.fit(X, y)
    output = repr(classifier.predict_proba(X).tolist())
"""
    values = {"os": os}
    exec(code, values)
    child = subprocess.run(
        [sys.executable, "-O", "-W", "error", "-c", f"import os{code}sys.stdout.write(output)"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "1", **_array_api()},
    )
    assert (child.stderr, child.stdout) == ("", values["output"])


@pytest.mark.parametrize("params", [{}, {"augmentation": brighten}, {"optimizer": Noisy}])
@pytest.mark.parametrize("network", ["luacnn", Own], ids=["named", "own"])
def test_a_net_can_be_copied_itself(network, params, bars):
    X, y = bars
    net = make(network, **params).fit(X, y).net_
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
