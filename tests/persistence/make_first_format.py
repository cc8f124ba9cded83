"""Write `data/first-format.skops`, which every later version of the library must load.

Run it once, for the first release: ``python tests/persistence/make_first_format.py``
"""

from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, save_model

PATH = Path(__file__).parent / "data" / "first-format.skops"

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    classifier = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0)
    model = make_pipeline(ImageNormalizer(), classifier).fit(X, y)
    probabilities = model.predict_proba(X[:10]).tolist()
    PATH.parent.mkdir(exist_ok=True)
    save_model(model, PATH, metadata={"data": "load_digits", "probabilities": probabilities})
