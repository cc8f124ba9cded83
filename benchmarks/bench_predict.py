"""Images classified per second by ConvNetClassifier, bare PyTorch, ONNX Runtime and an SVC.

The input is an array of 10,000 images, the output an array of probabilities. The networks are that
of the recipe "fast" and the default, trained for one epoch on 1,000 images, since their error does
not matter here.
"""

import io
import statistics

import numpy as np
import torch
from harness import interleaved, main, ratio
from sklearn.svm import SVC

from sklearn_usps import ConvNetClassifier, fetch_usps
from sklearn_usps.recipes import recipe


def bare(module, X, batch_size):
    """Predict as one would write it by hand."""
    images = torch.from_numpy(X).view(-1, 1, 16, 16)
    with torch.inference_mode():
        parts = [module(batch).softmax(1) for batch in images.split(batch_size)]
    return torch.cat(parts).numpy()


def onnx_session(module):
    """Return the network as an ONNX Runtime session; None if the package is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    file = io.BytesIO()
    example = torch.zeros(2, 1, 16, 16)
    torch.onnx.export(
        module,
        (example,),
        dynamic_shapes=({0: torch.export.Dim("n")},),
        dynamo=True,
        verbose=False,
    ).save(file)
    options = onnxruntime.SessionOptions()
    # Spinning threads would slow the others while they are timed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def contestants(classifier, X):
    module = classifier.net_.module_.eval()
    functions = {
        "ours": lambda: classifier.predict_proba(X),
        "bare PyTorch, batches of 512": lambda: bare(module, X, 512),
        "bare PyTorch, one batch": lambda: bare(module, X, len(X)),
    }
    if session := onnx_session(module):
        name = session.get_inputs()[0].name
        images = X.reshape(-1, 1, 16, 16)
        functions["ONNX Runtime"] = lambda: softmax(session.run(None, {name: images})[0])
    return functions


def run(quick):
    X, y = fetch_usps(subset="train", return_X_y=True)
    few = X[::10], y[::10]
    svc = SVC(C=10).fit(*(few if quick else (X, y)))
    X = X[::20] if quick else X
    networks = {
        "fast": recipe("fast", random_state=0)[-1].set_params(max_epochs=1),
        "default": ConvNetClassifier(max_epochs=1, random_state=0),
    }
    rows = []
    for network, classifier in networks.items():
        functions = contestants(classifier.fit(*few), X)
        reference = functions["ours"]()
        for name, function in functions.items():
            np.testing.assert_allclose(function(), reference, atol=1e-5, err_msg=name)
        seconds = interleaved(functions, 2 if quick else 25)
        rows += [row(network, name, X, seconds["ours"], values) for name, values in seconds.items()]
    seconds = interleaved({"SVC": lambda: svc.predict(X)}, 1 if quick else 5)
    rows.append(row("", "SVC", X, None, seconds["SVC"]))
    return {"Prediction, images per second of ours as a multiple of each": rows}


def row(network, name, X, ours, seconds):
    return {
        "network": network,
        "implementation": name,
        "images per second": f"{len(X) / statistics.median(seconds):,.0f}",
        "rate of ours": "" if ours is None else ratio(seconds, ours),
    }


if __name__ == "__main__":
    main("predict", run)
