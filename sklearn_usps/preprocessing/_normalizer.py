"""Normalization of the pixel values of images to zero mean and unit scale."""

from typing import ClassVar

import numpy as np
from scipy.ndimage import correlate1d
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._utils._arrays import numpy_defaults
from .._utils._images import check_width, flatten_images, resolve_image_shape
from .._utils._sklearn import (
    StrOptions,
    _check_n_features,
    _fit_context,
    _incremental_mean_and_var,
    _is_constant_feature,
)

# 8-bit images stay 8-bit until a chunk of them is used; any other dtype becomes the first of these.
_DTYPES = (np.float64, np.float32, np.uint8)
# Pixels held in float64 at a time, so that large data need no second copy.
_CHUNK = 2**18
# The scale of a pixel is at least this fraction of the scale over all pixels.
_FLOOR = 0.1
# One side of the 9 × 9 Gaussian window of local contrast normalization.
_WINDOW = np.exp(-0.5 * (np.arange(-4, 5) / 1.591) ** 2)


def _has_inverse(normalizer):
    method = normalizer._fitted_method or normalizer.method
    if method in ("image", "contrast"):
        raise AttributeError(
            f"method={method!r} keeps neither the brightness nor the contrast of an image, so it "
            "has no inverse. Use method='global' or method='pixel' for one."
        )
    return True


class ImageNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Bring the pixel values of images to zero mean and unit scale.

    Networks train faster on inputs around zero with a spread around one [1]_. `method` chooses the
    pixels over which mean and scale are taken: all pixels of all training images, each pixel, each
    image, or the neighborhood of each pixel in each image.

    Parameters
    ----------
    method : {"global", "pixel", "image", "contrast"}, default="global"
        The pixels that are brought to zero mean and unit scale together:

        - "global": all pixels of all training images. One mean is subtracted, and the result is
          divided by one standard deviation, so images look the same as before.
        - "pixel": each pixel over the training images, as by
          :class:`~sklearn.preprocessing.StandardScaler`. No scale is smaller than a tenth of that
          of "global": otherwise pixels near the border, which are almost always background, would
          become huge in the few images where they are not.
        - "image": the pixels of each image. Brightness and contrast of the images are lost.
        - "contrast": the neighborhood of each pixel, by the local contrast normalization of [2]_.
          Slow changes of brightness and contrast within each image are lost, edges stay.

    image_shape : tuple of int (height, width), default=None
        The shape of the images, used only by `method="contrast"`. None means the shape of a
        three-dimensional X, otherwise a square if `n_features` is a square number; failing that,
        each sample is one row of pixels, with a warning.

    Attributes
    ----------
    mean_, var_ : float or ndarray of shape (n_features,)
        The mean and variance of all pixels with `method="global"`, of each pixel with
        `method="pixel"`. Not defined with other methods.

    scale_ : float or ndarray of shape (n_features,)
        The divisor, likewise: the square root of `var_`; with `method="pixel"` at least a tenth of
        the standard deviation over all pixels. It is 1 where all training values are equal.

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
    X has shape (n_samples, n_features) or (n_samples, height, width); the result always has shape
    (n_samples, n_features). It is float32 for float32 and uint8, float64 for other dtypes. Means
    and variances are accumulated in float64, over all calls of `partial_fit`, by the incremental
    algorithm of :class:`~sklearn.preprocessing.StandardScaler`.

    A fitted normalizer keeps the `method` of its fit, even if the parameter changes afterwards.
    With "image" and "contrast", an image whose pixels are all equal becomes zero.

    With "contrast", the mean of an image :math:`x` over a window around each pixel is subtracted,
    :math:`v = x - w * x`. The result is divided by the standard deviation
    :math:`\sigma = \sqrt{w * v^2}` over the same window, or by the mean of :math:`\sigma` over the
    image where this is larger: :math:`v / \max(\bar\sigma, \sigma)`. The window :math:`w` is a
    Gaussian over 9 × 9 pixels that sums to one. [2]_ leaves two choices open: its standard
    deviation is 1.591 pixels here, the default of `image.lcn` in Torch7; and near the border it
    covers only the pixels of the image, and sums to one over these.

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
            The training images in one of the :ref:`accepted forms <image_forms>`.

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
    @numpy_defaults()
    def partial_fit(self, X, y=None):
        """Update the mean and scale with more images, as if all had been passed to `fit` at once.

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
                f"method={self._fitted_method!r}. Call fit to start again."
            )
        X, given_shape = flatten_images(X)
        if not first_call:
            check_width(self, X, given_shape)
        X = validate_data(self, X, dtype=_DTYPES, reset=first_call)
        if self.method == "contrast":
            self.image_shape_ = resolve_image_shape(self.image_shape, given_shape, X.shape[1])
        elif self.method != "image":
            self._update_statistics(X)
        self.n_samples_seen_ = len(X) + getattr(self, "n_samples_seen_", 0)
        return self

    @property
    def _fitted_method(self):
        """The method of the last fit, inferred from the attributes; None before any fit."""
        if not hasattr(self, "n_samples_seen_"):
            return None
        if hasattr(self, "mean_"):
            return "pixel" if np.ndim(self.mean_) else "global"
        return "contrast" if hasattr(self, "image_shape_") else "image"

    def _update_statistics(self, X):
        """Update `mean_`, `var_` and `scale_`."""
        # With "global", all pixels are values of a single feature.
        n_features = X.shape[1] if self.method == "pixel" else 1
        n_seen = getattr(self, "n_samples_seen_", 0) * (X.shape[1] // n_features)
        count = np.full(n_features, n_seen)
        mean = np.asarray(getattr(self, "mean_", 0.0))
        var = np.asarray(getattr(self, "var_", 0.0))
        for chunk in _chunks(X):
            values = X[chunk].astype(np.float64).reshape(-1, n_features)
            mean, var, count = _incremental_mean_and_var(values, mean, var, count)

        _check_magnitude(np.sqrt(var))
        overall_mean = mean.mean(keepdims=True)
        overall_var = var.mean(keepdims=True) + mean.var(keepdims=True)
        if _is_constant_feature(overall_var, overall_mean, count.sum()).all():
            scale = np.ones(n_features)
        else:
            scale = np.maximum(np.sqrt(var), _FLOOR * np.sqrt(overall_var))
        if self.method == "global":
            mean, var, scale = mean.item(), var.item(), scale.item()
        self.mean_, self.var_, self.scale_ = mean, var, scale

    @numpy_defaults()
    def transform(self, X):
        """Normalize images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        Returns
        -------
        X_tr : ndarray of shape (n_samples, n_features)
            The normalized images, float32 if X is float32 or uint8, else float64.
        """
        check_is_fitted(self)
        X, given_shape = flatten_images(X)
        check_width(self, X, given_shape)
        X = validate_data(self, X, dtype=_DTYPES, reset=False)
        X_tr = np.empty(X.shape, dtype=np.float32 if X.dtype == np.uint8 else X.dtype)
        if self._fitted_method in ("global", "pixel"):
            np.subtract(X, self.mean_, out=X_tr, dtype=X_tr.dtype)
            return np.divide(X_tr, self.scale_, out=X_tr, dtype=X_tr.dtype)

        normalize, shape = _normalize_image, (1, X.shape[1])
        if self._fitted_method == "contrast":
            normalize = _normalize_contrast
            shape = resolve_image_shape(self.image_shape_, given_shape, X.shape[1])
        for chunk in _chunks(X):
            images = X[chunk].astype(np.float64).reshape(-1, *shape)
            # Differences as small as this beside the largest value are rounding errors.
            largest = abs(images).max(axis=(1, 2), keepdims=True)
            _check_magnitude(largest)
            negligible = 10 * np.finfo(X_tr.dtype).eps * largest
            X_tr[chunk] = normalize(images, negligible).reshape(-1, X.shape[1])
        return X_tr

    @available_if(_has_inverse)
    @numpy_defaults()
    def inverse_transform(self, X):
        """Scale normalized images back; only with `method="global"` and `method="pixel"`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Normalized images.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The original images, float32 if X is float32, else float64.
        """
        check_is_fitted(self)
        X, given_shape = flatten_images(X)
        check_width(self, X, given_shape)
        X = check_array(X, dtype=_DTYPES[:2], input_name="X")
        _check_n_features(self, X, reset=False)
        X_original = np.multiply(X, self.scale_, dtype=X.dtype)
        return np.add(X_original, self.mean_, out=X_original, dtype=X.dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _chunks(X):
    return gen_batches(len(X), max(1, _CHUNK // X.shape[1]))


def _check_magnitude(values):
    """Refuse values whose squares overflow: the images would become blank, or NaN."""
    if not np.max(values) <= 1e145:
        raise ValueError("X has values beyond 1e145, which can't be normalized: scale X.")


def _normalize_image(images, negligible):
    """Bring each image to zero mean and unit scale."""
    centered = images - images.mean(axis=(1, 2), keepdims=True)
    scale = images.std(axis=(1, 2), keepdims=True)
    return centered / np.where(scale > negligible, scale, np.inf)


def _normalize_contrast(images, negligible):
    """Bring the neighborhood of each pixel to zero mean and, at most, unit scale."""
    centered = images - window_mean(images)
    scale = np.sqrt(window_mean(centered**2))
    typical = scale.mean(axis=(1, 2), keepdims=True)
    return centered / np.maximum(np.where(typical > negligible, typical, np.inf), scale)


def window_mean(images):
    """Average the 9 × 9 window around each pixel, as far as it lies within the image."""
    weights = np.ones((1, *images.shape[1:]))
    for axis in (1, 2):
        images = correlate1d(images, _WINDOW, axis=axis, mode="constant")
        weights = correlate1d(weights, _WINDOW, axis=axis, mode="constant")
    return images / weights
