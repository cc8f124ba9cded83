"""Bringing the pixel values of images to a common mean and scale."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.ndimage import correlate1d
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._utils._images import check_width, flatten_images, resolve_image_shape
from .._utils._sklearn import (
    StrOptions,
    _check_n_features,
    _fit_context,
    _incremental_mean_and_var,
    _is_constant_feature,
)

# 8-bit images stay as they are until they are used; what is none of these becomes the first.
_DTYPES = (np.float64, np.float32, np.uint8)
# How many pixels are held in float64 at a time, so that large data need no second copy.
_CHUNK = 2**18
# A pixel's scale is at least this fraction of the scale over all pixels.
_FLOOR = 0.1
# Four such values squared and added up over 2**53 pixels are still finite in float64.
_LARGEST = 1e145
# Below these even a spread of one rounding error has a square that is a normal number, or with
# float32 is one itself.
_SMALLEST = {"float64": 1e-135, "float32": 1e-31, "uint8": 0}
# One side of the 9x9 Gaussian window of local contrast normalization.
_WINDOW = np.exp(-0.5 * (np.arange(-4, 5) / 1.591) ** 2)


def _has_inverse(normalizer):
    method = normalizer._fitted_method or normalizer.method
    if method in ("image", "contrast"):
        raise AttributeError(
            f"method={method!r} keeps neither the brightness nor the contrast of an "
            "image, so there is no inverse. Use method='global' or method='pixel' for one."
        )
    return True


class ImageNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Bring the pixel values of images to zero mean and unit scale.

    Networks train faster on inputs around zero with a spread around one [1]_. What the mean and
    scale are taken over is a choice: all pixels of all training images, each pixel, each image,
    or the surroundings of each pixel in each image.

    Parameters
    ----------
    method : {"global", "pixel", "image", "contrast"}, default="global"
        What is brought to zero mean and unit scale:

        - "global": all pixels of all training images together. One mean is subtracted and one
          standard deviation divided by, so images look the same as before.
        - "pixel": each pixel over the training images, as by
          :class:`~sklearn.preprocessing.StandardScaler`. No scale is smaller than a tenth of the
          one of "global": pixels near the border that are almost always background would otherwise
          become huge wherever they are not.
        - "image": the pixels of each image. Brightness and contrast of the images are lost.
        - "contrast": the surroundings of each pixel, by the local contrast normalization of [2]_.
          Slow changes of brightness and contrast within each image are lost, edges stay.

    image_shape : tuple of int (height, width), default=None
        The shape of the images, used by `method="contrast"` alone. With None, the one of X if X
        has three dimensions, else square if `n_features` is a square number; otherwise each
        sample is, with a warning, taken as one row of pixels.

    Attributes
    ----------
    mean_ : float or ndarray of shape (n_features,)
        The mean of all pixels with `method="global"`, of each pixel with `method="pixel"`. Not
        defined with other methods.

    var_ : float or ndarray of shape (n_features,)
        The variance, likewise.

    scale_ : float or ndarray of shape (n_features,)
        What pixels are divided by, likewise: the square root of `var_`, with `method="pixel"` at
        least a tenth of the standard deviation over all pixels. It is 1 where all training values
        are equal.

    image_shape_ : tuple of int (height, width)
        The shape of the images. Only defined with `method="contrast"`.

    n_samples_seen_ : int
        The number of images seen by `fit`, or by all calls of `partial_fit` so far.

    n_features_in_ : int
        Number of features seen during :term:`fit`; for X of shape (n_samples, height, width),
        height * width.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`. Defined only when `X` has feature names that
        are all strings.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : Each feature to unit variance, however rarely it changes.
    sklearn.preprocessing.Normalizer : Each sample to unit norm, without centering.
    RandomDeformation : Deform images at random while training.

    Notes
    -----
    X has shape (n_samples, n_features) or (n_samples, height, width); what comes out always has
    shape (n_samples, n_features). float32 and uint8 come out as float32, all else as float64.
    Means and variances are accumulated in float64, over all calls of `partial_fit`, by the
    incremental algorithm of :class:`~sklearn.preprocessing.StandardScaler`.

    What has been fitted goes by the `method` that it was fitted with, also where the parameter has
    changed since.

    With "image" and "contrast", an image whose pixels are all equal becomes zero.

    With "contrast" and an image :math:`x`, the mean of :math:`x` over a window around each pixel is
    subtracted, :math:`v = x - w * x`, and the result is divided by the standard deviation
    :math:`\sigma = \sqrt{w * v^2}` over the same window, or by the mean of :math:`\sigma` over the
    image where this is larger: :math:`v / \max(\bar\sigma, \sigma)`. The window :math:`w` is a
    Gaussian over 9 × 9 pixels that sums to one. Where [2]_ leaves a choice: its standard deviation
    is 1.591 pixels, the default of `image.lcn` in Torch 7; and near the border it covers only the
    pixels that exist, and sums to one over these.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998, section 4.3.
       :doi:`10.1007/3-540-49430-8_2`

    .. [2] K. Jarrett, K. Kavukcuoglu, M. Ranzato and Y. LeCun, "What is the best multi-stage
       architecture for object recognition?", IEEE 12th International Conference on Computer
       Vision, 2009, pp. 2146-2153, section 3.1.
       :doi:`10.1109/ICCV.2009.5459469`

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ImageNormalizer
    >>> X, y = load_digits(return_X_y=True)
    >>> normalizer = ImageNormalizer().fit(X)
    >>> print(f"{normalizer.mean_:.2f} {normalizer.scale_:.2f}")
    4.88 6.02
    >>> normalizer.transform(X).shape
    (1797, 64)
    """

    __module__ = "sklearn_usps"  # model files name public modules

    _parameter_constraints: ClassVar[dict] = {
        "method": [StrOptions({"global", "pixel", "image", "contrast"})],
        "image_shape": [tuple, list, None],
    }

    def __init__(self, *, method: str = "global", image_shape: tuple[int, int] | None = None):
        self.method = method
        self.image_shape = image_shape

    def fit(self, X, y=None):
        """Compute the mean and scale of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The training images.

        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted normalizer.
        """
        for name in ("mean_", "var_", "scale_", "image_shape_", "n_samples_seen_"):
            if hasattr(self, name):
                delattr(self, name)
        return self.partial_fit(X)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Update the mean and scale by more images, as if they had been given to `fit` together.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            More training images.

        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted normalizer.
        """
        first_call = self._fitted_method is None
        if self._fitted_method not in (None, self.method):
            raise ValueError(
                f"method={self.method!r} was given, but the images seen so far were for "
                f"method={self._fitted_method!r}. Call fit to begin anew."
            )
        X, given_shape = flatten_images(X)
        if not first_call:
            check_width(self, X)
        X = validate_data(self, X, dtype=_DTYPES, reset=first_call)
        _check_range(X)
        n_samples, n_features = X.shape
        if self.method == "contrast":
            self.image_shape_ = resolve_image_shape(self.image_shape, given_shape, n_features)
        elif self.method != "image":
            self._update_statistics(X)
        self.n_samples_seen_ = n_samples + getattr(self, "n_samples_seen_", 0)
        return self

    @property
    def _fitted_method(self):
        """The method of the last fit, as its attributes tell; None before any."""
        if not hasattr(self, "n_samples_seen_"):
            return None
        if hasattr(self, "mean_"):
            return "pixel" if np.ndim(self.mean_) else "global"
        return "contrast" if hasattr(self, "image_shape_") else "image"

    def _update_statistics(self, X):
        """Update `mean_`, `var_` and `scale_`."""
        _check_not_too_small(X)
        # With "global", all pixels are values of a single feature.
        n_features = X.shape[1] if self.method == "pixel" else 1
        n_seen = getattr(self, "n_samples_seen_", 0) * (X.shape[1] // n_features)
        count = np.full(n_features, n_seen)
        mean = np.asarray(getattr(self, "mean_", 0.0))
        var = np.asarray(getattr(self, "var_", 0.0))
        for chunk in _chunks(X):
            values = X[chunk].astype(np.float64).reshape(-1, n_features)
            mean, var, count = _incremental_mean_and_var(values, mean, var, count)

        overall_mean = mean.mean(keepdims=True)
        overall_var = var.mean(keepdims=True) + mean.var(keepdims=True)
        if _is_constant_feature(overall_var, overall_mean, count.sum()).all():
            scale = np.ones(n_features)
        else:
            scale = np.maximum(np.sqrt(var), _FLOOR * np.sqrt(overall_var))
        if self.method == "global":
            mean, var, scale = mean.item(), var.item(), scale.item()
        self.mean_, self.var_, self.scale_ = mean, var, scale

    def transform(self, X):
        """Normalize images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        Returns
        -------
        X_tr : ndarray of shape (n_samples, n_features)
            The normalized images, float32 where X is float32 or uint8, else float64.
        """
        check_is_fitted(self)
        X, given_shape = flatten_images(X)
        check_width(self, X)
        X = validate_data(self, X, dtype=_DTYPES, reset=False)
        _check_range(X)
        X_tr = np.empty(X.shape, dtype=np.float32 if X.dtype == np.uint8 else X.dtype)
        if self._fitted_method in ("global", "pixel"):
            with np.errstate(over="ignore", invalid="ignore"):
                np.subtract(X, self.mean_, out=X_tr, dtype=X_tr.dtype)
                np.divide(X_tr, self.scale_, out=X_tr, dtype=X_tr.dtype)
            return _check_result(X_tr)

        if self._fitted_method == "contrast":
            normalize = _normalize_contrast
            shape = resolve_image_shape(self.image_shape_, given_shape, X.shape[1])
        else:
            normalize = _normalize_image
            shape = (1, X.shape[1])
        for chunk in _chunks(X):
            images = X[chunk].astype(np.float64).reshape(-1, *shape)
            largest = abs(images).max(axis=(1, 2), keepdims=True)
            # By a power of two, which rounds nothing, so that no squares are too small.
            largest, exponents = np.frexp(largest)
            images = np.ldexp(images, -exponents)
            # Differences as small as this beside the largest value are rounding errors.
            negligible = 10 * np.finfo(X_tr.dtype).eps * largest
            X_tr[chunk] = normalize(images, negligible).reshape(-1, X.shape[1])
        return X_tr

    @available_if(_has_inverse)
    def inverse_transform(self, X):
        """Scale normalized images back; only with `method="global"` and `method="pixel"`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Normalized images.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The images as they were before, float32 where X is float32, else float64.
        """
        check_is_fitted(self)
        X, _ = flatten_images(X)
        check_width(self, X)
        X = check_array(X, dtype=_DTYPES[:2], input_name="X")
        _check_n_features(self, X, reset=False)
        with np.errstate(over="ignore", invalid="ignore"):
            X_original = np.multiply(X, self.scale_, dtype=X.dtype)
            np.add(X_original, self.mean_, out=X_original, dtype=X.dtype)
        return _check_result(X_original)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_range(X):
    """Refuse values whose squares, which variances are made of, would be infinite."""
    low, high = float(X.min()), float(X.max())
    if max(-low, high) > _LARGEST:
        raise ValueError(
            f"X has values from {low:g} to {high:g}, but {_LARGEST:g} is the largest that can be "
            "normalized. Scale X first, such as by X / abs(X).max()."
        )


def _check_not_too_small(X):
    """Refuse values whose variance would be zero, or of few digits, though they differ."""
    low, high = float(X.min()), float(X.max())
    if 0 < max(-low, high) < _SMALLEST[X.dtype.name]:
        raise ValueError(
            f"X has values from {low:g} to {high:g}, which are too small for the variance of "
            f"{X.dtype}. Scale X first, such as by X / abs(X).max()."
        )


def _check_result(X):
    """Refuse a result that is infinite, where X is far from the data of fit."""
    if not np.isfinite([X.min(), X.max()]).all():
        raise ValueError(
            f"X has values that are too far from those of fit: what becomes of them is too large "
            f"for {X.dtype}. Scale X as in fit."
        )
    return X


def _chunks(X):
    return gen_batches(len(X), max(1, _CHUNK // X.shape[1]))


def _normalize_image(images, negligible):
    """Bring each image to zero mean and unit scale."""
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    scale = images.std(axis=(1, 2), keepdims=True)
    return centred / np.where(scale > negligible, scale, np.inf)


def _normalize_contrast(images, negligible):
    """Bring the surroundings of each pixel to zero mean and, at most, unit scale."""
    centred = images - _window_mean(images)
    scale = np.sqrt(_window_mean(centred**2))
    typical = scale.mean(axis=(1, 2), keepdims=True)
    return centred / np.maximum(np.where(typical > negligible, typical, np.inf), scale)


def _window_mean(images):
    """Average each pixel's surroundings, as far as they lie within the image."""
    weights = np.ones((1, *images.shape[1:]))
    for axis in (1, 2):
        images = correlate1d(images, _WINDOW, axis=axis, mode="constant")
        weights = correlate1d(weights, _WINDOW, axis=axis, mode="constant")
    return images / weights
