"""Outputs for an image, which do not depend on its place in a batch and on the other images."""

import subprocess
import sys

import pytest
import torch

from sklearn_usps.networks._registry import NETWORKS, build_network

SIZE = 24  # of the batches that predict


def batches(n, shape, generator):
    """Return n batches of images, of noise, of zeros, huge ones and a mixture of them."""
    noise = torch.rand(n, SIZE, 1, *shape, generator=generator)
    scales = torch.tensor([1.0, 0.0, 1e3, -1e30])
    noise *= scales[torch.arange(n) % 4].view(n, 1, 1, 1, 1)
    noise[4:] *= scales[torch.randint(3, (n - 4, SIZE, 1, 1, 1), generator=generator)]
    return noise


@pytest.fixture(params=[1, 2])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(16, 16), (1, 3), (17, 13), (40, 40)])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_same_bits_at_every_position_and_among_any_images(name, shape, n_threads):
    generator = torch.Generator().manual_seed(0)
    network = build_network(name, {}, shape, 3, generator).eval()
    log_proba = getattr(network, "log_proba", lambda logits: logits.log_softmax(1))
    image = 2 * torch.rand(1, *shape, generator=generator) - 1
    values = []
    for position, images in enumerate(batches(SIZE, shape, generator)):
        images[position] = image
        with torch.inference_mode():
            logits = network(images)
            found = torch.cat([network.features(images), logits, log_proba(logits)], dim=1)
        values.append(found[position])
    assert all(torch.equal(each, values[0]) for each in values)


def test_the_first_tanh_of_a_process_is_accurate_in_all_threads():
    """MKL's would not always be if two threads made it, so that the library makes one before."""
    code = (
        "import torch; from sklearn_usps import networks; networks.LuaCNN; "
        "torch.set_num_threads(2); x = torch.linspace(-5, 5, 2**14); "
        "print(torch.equal(x.tanh(), x.tanh()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
