"""Pictures of digits as people bring them, rendered from images of a data set.

The benchmark of own pictures and the tests share them. All randomness comes from `rng`, a
`numpy.random.Generator`, so the same seed gives the same pictures.
"""

import io

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

#: The tag of the orientation noted by a camera, and how to turn a picture so that it is right.
ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
#: Colors of desks, papers and inks of the photographs.
_DESKS = [
    (96, 66, 42),
    (150, 111, 72),
    (52, 54, 58),
    (120, 124, 122),
    (30, 60, 48),
    (196, 170, 130),
]
_PAPERS = [(250, 250, 247), (238, 236, 228), (246, 238, 205), (226, 236, 246), (245, 222, 226)]
_INKS = [(22, 22, 26), (20, 36, 120), (70, 70, 74), (150, 22, 30), (16, 84, 50)]


def as_picture(
    image, size, *, rng, light_on_dark=None, margin=None, noise=None, shadow=None, orientation=None
):
    """Render an image of a digit, bright on dark in [0, 1], as a picture of `size` pixels.

    Digit and background are dark on light, or light on dark, with plain background on all sides.
    What is None is drawn: which of both; the margin, 0.1 to 0.4 of the picture on each side, less
    where the digit would have fewer than 16 pixels; the standard deviation of the noise, up to
    0.03; the change of the light from one side to the other, up to 0.3; the orientation noted by
    the camera, 1 to 8.
    """
    light_on_dark = rng.random() < 0.3 if light_on_dark is None else light_on_dark
    margin = rng.uniform(0.1, 0.4) if margin is None else margin
    noise = rng.uniform(0, 0.03) if noise is None else noise
    shadow = rng.uniform(-0.3, 0.3) if shadow is None else shadow
    orientation = int(rng.integers(1, 9)) if orientation is None else orientation
    digit = _enlarge(image, max(16, round(size * (1 - 2 * margin))))
    ink = np.zeros((size, size), np.float32)
    top, left = ((size - length) // 2 for length in digit.shape)
    ink[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    background, full_ink = rng.uniform(0.85, 1), rng.uniform(0, 0.3)
    levels = background + (full_ink - background) * ink
    levels = 1 - levels if light_on_dark else levels
    angle = rng.uniform(0, 2 * np.pi)
    across, down = np.cos(angle) * np.linspace(-0.5, 0.5, size), np.linspace(-0.5, 0.5, size)
    light = 1 - np.abs(shadow) / 2 + shadow * (across + np.sin(angle) * down[:, np.newaxis])
    return _with_orientation(_to_picture(levels * light, noise, rng), orientation)


def as_photograph(image, rng, sides=(240, 900)):
    """Render an image of a digit, bright on dark in [0, 1], as a photograph of a page.

    Its height and width are drawn from `sides`, in pixels.

    A page of white or colored paper, plain, lined or squared, bears the digit in dark ink, or a
    board in chalk. It lies on a desk, is framed, fills the picture or is scanned with dark edges.
    Shadows with soft or hard edges, vignetting, perspective, blur, noise and JPEG come upon it.
    """
    width, height = (int(rng.integers(*sides)) for _ in range(2))
    side = min(width, height)
    chalk = rng.random() < 0.15
    paper = np.array(_pick(rng, [(38, 58, 48), (44, 46, 50)] if chalk else _PAPERS), float)
    color = np.array((232, 232, 226) if chalk else _pick(rng, _INKS), float)
    page = np.broadcast_to(paper, (height, width, 3)).copy()
    if not chalk and rng.random() < 0.4:
        _rule(page, rng, squared=rng.random() < 0.4)
    ink = _write(image, (height, width), side, rng)
    page += ink[..., np.newaxis] * (color - page)
    surroundings = _pick(rng, ["desk", "desk", "desk", "frame", "scanner", "none"])
    scene = {"desk": _on_desk, "frame": _framed, "scanner": _scanned, "none": _alone}[surroundings](
        page, rng
    )
    scene = scene * _light(scene.shape[:2], rng, hard=rng.random() < 0.5)[..., np.newaxis]
    scene = ndimage.gaussian_filter(scene, (*[rng.uniform(0, side / 350)] * 2, 0))
    picture = _to_picture(scene / 255, rng.uniform(0, 0.025), rng)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(50, 95)))
    return Image.open(file)


def _enlarge(image, side):
    """Enlarge or reduce an image so that its longer side has `side` pixels."""
    height, width = (max(1, round(side * length / max(image.shape))) for length in image.shape)
    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    return np.clip(np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC)), 0, 1)


def _to_picture(levels, noise, rng):
    noisy = levels + noise * rng.standard_normal(levels.shape, np.float32)
    return Image.fromarray((255 * np.clip(noisy, 0, 1) + 0.5).astype(np.uint8))


def _with_orientation(picture, orientation):
    """Turn a picture as a camera stores it that notes the orientation."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned = picture.transpose(_TURNS[orientation]) if orientation > 1 else picture
    turned.save(file, "PNG", exif=exif, compress_level=1)
    return Image.open(file)


def _pick(rng, values):
    return values[int(rng.integers(len(values)))]


def _write(image, shape, side, rng):
    """Return the ink, from 0 to 1, of a digit written somewhere on the page, well inside."""
    length = round(side * rng.uniform(0.16, 0.5))
    # Enlarged four times as much, its edge is as sharp as that of a pen.
    soft = _enlarge(np.asarray(image) / np.max(image), 4 * length)
    sharp = np.clip((soft - rng.uniform(0.35, 0.55)) * 8 + 0.5, 0, 1)
    digit = _enlarge(sharp, length)
    ink = np.zeros(shape, np.float32)
    top, left = (
        int(rng.integers(round(0.2 * n), round(0.8 * n) - m + 1))
        for n, m in zip(shape, digit.shape, strict=True)
    )
    ink[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return rng.uniform(0.8, 1) * ink


def _rule(page, rng, squared):
    """Draw the thin pale lines of lined or squared paper."""
    side = min(page.shape[:2])
    distance = side * rng.uniform(0.05, 0.12)
    width = max(1, round(side / 350))
    color = np.array(_pick(rng, [(150, 180, 215), (190, 190, 195), (215, 160, 160)]))
    for axis in (0, 1) if squared else (0,):
        start = int(rng.uniform(0, distance))
        for at in np.arange(start, page.shape[axis], distance).astype(int):
            lines = page[at : at + width] if axis == 0 else page[:, at : at + width]
            lines[:] = color


def _on_desk(page, rng):
    """Photograph the page on a desk, turned and in perspective."""
    height, width = page.shape[:2]
    desk = np.array(_pick(rng, _DESKS), float)
    grain = rng.standard_normal((height, width))
    grain = ndimage.gaussian_filter(grain, (0.5, rng.uniform(2, 30)))
    scene = desk * (1 + 0.06 * grain / grain.std())[..., np.newaxis]
    angle = np.deg2rad(rng.uniform(-8, 8))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * rng.uniform(0.7, 0.88)
    corners = corners * (1 + rng.uniform(-0.06, 0.06, (4, 2)))
    corners = (corners * (width, height) / 2) @ turn.T + np.array([width, height]) / 2
    placed, opacity = _project(page, corners)
    edge = ndimage.shift(opacity, (height / 150, width / 150), order=1)  # the page's own shadow
    scene *= (1 - 0.4 * ndimage.gaussian_filter(edge, height / 120))[..., np.newaxis]
    return scene + opacity[..., np.newaxis] * (placed - scene)


def _project(page, corners):
    """Return the page with its corners moved to others, and its opacity."""
    height, width = page.shape[:2]
    sources = [(0, 0), (width, 0), (width, height), (0, height)]
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, sources, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    picture = Image.fromarray(page.round().astype(np.uint8))
    picture.putalpha(255)
    placed = picture.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        np.linalg.solve(rows, values).tolist(),
        Image.Resampling.BICUBIC,
    )
    pixels = np.asarray(placed, np.float64)
    return pixels[..., :3], pixels[..., 3] / 255


def _framed(page, rng):
    """Frame the page: a solid border, or a line at some distance of the picture's border."""
    height, width = page.shape[:2]
    picture = Image.fromarray(page.round().astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    gap = int(rng.choice([0, 0.04]) * min(height, width))
    thickness = max(2, int(rng.uniform(0.005, 0.06) * min(height, width)))
    color = _pick(rng, [*_DESKS, (0, 0, 0)])
    draw.rectangle((gap, gap, width - 1 - gap, height - 1 - gap), outline=color, width=thickness)
    return np.asarray(picture, np.float64)


def _scanned(page, rng):
    """Blacken a strip along one or two sides, as where the lid of a scanner was open."""
    scene = page.copy()
    for side in rng.choice(4, int(rng.integers(1, 3)), replace=False):
        strip = np.rot90(scene, int(side))
        depth = strip.shape[0] * rng.uniform(0.01, 0.1)
        slope = rng.uniform(-0.02, 0.02) * np.arange(strip.shape[1])
        dark = np.arange(strip.shape[0])[:, np.newaxis] < depth + slope
        strip[dark] = rng.uniform(0, 40)
    return scene


def _alone(page, rng):
    return page


def _light(shape, rng, hard):
    """Return the light by pixel: darker corners, and a shadow with a hard or a soft edge."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    vignette = 1 - rng.uniform(0, 0.25) * (x**2 + y**2) / 2
    angle = rng.uniform(0, 2 * np.pi)
    distance = np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.8, 0.8)
    softness = rng.uniform(0.005, 0.03) if hard else rng.uniform(0.3, 1.5)
    shade = 1 / (1 + np.exp(-np.clip(distance / softness, -30, 30)))
    return vignette * (1 - rng.uniform(0, 0.35) * shade)
