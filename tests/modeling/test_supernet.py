"""The supernet: its path, what runs, and that nothing else plays a part."""

import copy

import pytest
import torch

from detnas_d2.modeling import StandAloneNetwork, Supernet, slice_supernet
from detnas_d2.space import Architecture, ArchitectureError

A = (0, 1, 2, 3, 0, 1, 2, 3)
B = (3, 2, 1, 0, 3, 2, 1, 0)


@pytest.fixture
def supernet(space, randomize):
    return randomize(Supernet(space))


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_needs_a_path(supernet, images):
    for use in (lambda: supernet(images), supernet.inactive_parameters):
        with pytest.raises(RuntimeError, match=r"no path.*set_path"):
            use()


def test_state_dict_keys(supernet):
    keys = set(supernet.state_dict())
    wanted = {"conv.weight", "norm.weight", "norm.running_var", "norm.num_batches_tracked"}
    assert {f"stem.{k}" for k in wanted} <= keys
    assert {f"res4.2.1.main.1.{k}" for k in wanted} <= keys
    assert {f"res2.0.3.projection.0.{k}" for k in wanted} <= keys
    assert not any(key.startswith("res2.1.3.projection") for key in keys)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("architecture", [A, B, (1,) * 8])
def test_equals_the_sliced_stand_alone_network_bit_for_bit(
    supernet, space, images, architecture, training
):
    network = StandAloneNetwork(space, architecture)
    path = Architecture(space, architecture)
    network.load_state_dict(copy.deepcopy(slice_supernet(supernet.state_dict(), path)), strict=True)
    supernet.train(training).set_path(architecture)
    network.train(training)
    for _ in range(2):  # the second time on the statistics that the first has updated
        ours, theirs = supernet(images), network(images)
        assert same(ours, theirs)
    sum(f.square().mean() for f in ours.values()).backward()
    sum(f.square().mean() for f in theirs.values()).backward()
    assert same(slice_supernet(supernet.state_dict(), path), network.state_dict())
    grads = {k: p.grad for k, p in supernet.named_parameters() if p.grad is not None}
    assert same(slice_supernet(grads, path), {k: p.grad for k, p in network.named_parameters()})


FEATURES = ("res2", "res3", "res4", "res5")


def test_use_path_restores_the_former_path(supernet):
    """After an error in the block and a wrong path, too."""
    with supernet.use_path(A):
        with supernet.use_path(B):
            assert tuple(supernet.path) == B
        for wrong in (A[:-1], (*A[:-1], 4), (*A[:-1], -1), "x"):
            with pytest.raises(ArchitectureError), supernet.use_path(wrong):
                raise AssertionError
            with pytest.raises(ArchitectureError):
                supernet.set_path(wrong)
        with pytest.raises(ZeroDivisionError), supernet.use_path(B):
            _ = 1 / 0
        assert tuple(supernet.path) == A
    assert supernet.path is None


@pytest.mark.parametrize("wanted", [FEATURES, ("res2", "res4"), ("res3",)])
def test_out_features(space, images, wanted):
    """No stage behind the last one runs, nor what is off the path."""
    network = Supernet(space, out_features=wanted[::-1])
    network.set_path(A)
    outputs, shapes = network(images), network.output_shape()
    assert list(outputs) == list(shapes) == list(wanted)
    assert network.size_divisibility == 32
    for name, shape in shapes.items():
        i = FEATURES.index(name)
        assert (shape.channels, shape.stride) == ((16, 24, 32, 40)[i], 4 * 2**i)
        size = tuple(-(-n // shape.stride) for n in images.shape[2:])
        assert outputs[name].shape == (2, shape.channels, *size)
    sum(f.square().mean() for f in outputs.values()).backward()
    idle = {id(p) for p in network.inactive_parameters()}
    assert idle == {id(p) for p in network.parameters() if p.grad is None}
    assert ({id(p) for p in network.res5.parameters()} <= idle) == ("res5" not in wanted)


@pytest.mark.parametrize("wrong", [[], ["res6"], ["res2", "res2"], "res"])
def test_wrong_out_features(space, wrong):
    with pytest.raises(ValueError, match="out_features.*res2, res3, res4, res5"):
        Supernet(space, out_features=wrong)
