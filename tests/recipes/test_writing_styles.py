"""The ways of writing that USPS lacks, on plain strokes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sklearn_usps.recipes._writing_styles import vary_style


def ink_of(*lines):
    picture = Image.new("L", (48, 64))
    for line in lines:
        ImageDraw.Draw(picture).line(line, fill=255, width=6, joint="curve")
    ink = np.asarray(picture) / 255
    return ink[np.ix_(ink.any(axis=1), ink.any(axis=0))]


ONE = ink_of([(24, 0), (24, 63)])
FOUR = ink_of([(10, 0), (6, 36), (44, 36)], [(34, 0), (34, 63)])
SEVEN = ink_of([(4, 3), (44, 3), (20, 63)])
NINE = ink_of([(34, 20), (20, 3), (8, 20), (20, 32), (34, 20), (34, 63)])


def variants(ink, digit):
    varied = [vary_style(ink, digit, np.random.default_rng(seed)) for seed in range(100)]
    return [each for each in varied if each is not ink]


@pytest.mark.parametrize("digit", [0, 2, 3, 5, 6, 8])
def test_other_digits_stay_as_they_are(digit):
    assert variants(SEVEN, digit) == []


@pytest.mark.parametrize(("ink", "digit"), [(ONE, 1), (FOUR, 4), (SEVEN, 7), (NINE, 9)])
def test_some_are_changed_and_some_stay(ink, digit):
    changed = variants(ink, digit)
    assert 20 <= len(changed) <= 70
    before = ink.copy()
    assert all(each.min() >= 0 and each.max() <= 1 for each in changed)
    np.testing.assert_array_equal(ink, before)


def width_at(ink, first, last):
    """Return the number of columns with ink between two heights, 0 the top and 1 the bottom."""
    first, last = (round(height * len(ink)) for height in (first, last))
    return (ink[first:last] > 0.5).any(axis=0).sum()


def test_one_gets_a_flag_and_sometimes_a_base():
    changed = variants(ONE, 1)
    assert min(width_at(each, 0, 0.5) for each in changed) > width_at(ONE, 0, 1) + 3
    bases = [width_at(each, 0.9, 1) > 15 for each in changed]
    assert 0.1 < np.mean(bases) < 0.6


def test_seven_gets_a_stroke_through_its_stem():
    uncrossed = width_at(SEVEN, 0.4, 0.8)
    assert min(width_at(each, 0.4, 0.8) for each in variants(SEVEN, 7)) > uncrossed


def test_nine_gets_a_hook_to_the_left():
    plain = width_at(NINE, 0.85, 1)
    assert min(width_at(each, 0.85, 1) for each in variants(NINE, 9)) > plain + 5


def test_four_loses_a_part_of_its_stem():
    changed = variants(FOUR, 4)
    shorter = [len(each) < 0.9 * len(FOUR) for each in changed]
    assert 0.2 < np.mean(shorter) < 0.8
    open_at_the_top = [
        each for each, is_short in zip(changed, shorter, strict=True) if not is_short
    ]
    assert all((each[3] > 0.5).sum() < (FOUR[3] > 0.5).sum() for each in open_at_the_top)
