"""The supernet: its path, what runs, and that nothing else plays a part."""

import copy
import itertools

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
    supernet.set_path(A)
    supernet(images)
    supernet.clear_path()
    assert supernet.path is None
    with pytest.raises(RuntimeError):
        supernet(images)


@pytest.mark.parametrize("wrong", [A[:-1], (*A[:-1], 4), (*A[:-1], -1), "x"])
def test_a_wrong_path_is_refused_and_changes_nothing(supernet, wrong):
    supernet.set_path(B)
    with pytest.raises(ArchitectureError):
        supernet.set_path(wrong)
    with pytest.raises(ArchitectureError), supernet.use_path(wrong):
        raise AssertionError
    assert tuple(supernet.path) == B


def test_use_path_restores_the_former_path(supernet):
    with supernet.use_path(A):
        with supernet.use_path(B):
            assert tuple(supernet.path) == B
        assert tuple(supernet.path) == A
        with pytest.raises(ZeroDivisionError), supernet.use_path(B):
            _ = 1 / 0
        assert tuple(supernet.path) == A
    assert supernet.path is None


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


def test_training_another_path_leaves_the_rest_alone(supernet, images):
    before = copy.deepcopy(supernet.state_dict())
    supernet.train().set_path(A)
    sum(f.mean() for f in supernet(images).values()).backward()
    after = supernet.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    on_path = {
        f"{name}.{i}.{choice}"
        for (name, i), choice in zip(
            [("res2", 0), ("res2", 1), ("res3", 0), ("res3", 1)]
            + [("res4", 0), ("res4", 1), ("res4", 2), ("res5", 0)],
            A,
            strict=True,
        )
    }
    assert changed == {
        key
        for key in before
        if (key.startswith("stem.") or ".".join(key.split(".")[:3]) in on_path)
        and key.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }


def test_gradients_on_the_active_path_alone(supernet, images):
    supernet.set_path(B)
    sum(f.square().mean() for f in supernet(images).values()).backward()
    inactive = {id(p) for p in supernet.inactive_parameters()}
    without = {id(p) for p in supernet.parameters() if p.grad is None}
    assert inactive == without
    assert 0 < len(inactive) < len(list(supernet.parameters()))


FEATURES = ("res2", "res3", "res4", "res5")


@pytest.mark.parametrize(
    "wanted", [w for n in range(1, 5) for w in itertools.combinations(FEATURES, n)]
)
def test_out_features(space, images, wanted):
    network = StandAloneNetwork(space, A, out_features=wanted[::-1]).eval()
    outputs = network(images)
    shapes = network.output_shape()
    assert list(outputs) == list(shapes) == list(wanted)
    assert network.size_divisibility == 32
    for name, shape in shapes.items():
        i = FEATURES.index(name)
        assert (shape.channels, shape.stride) == ((16, 24, 32, 40)[i], 4 * 2**i)
        size = tuple(-(-n // shape.stride) for n in images.shape[2:])
        assert outputs[name].shape == (2, shape.channels, *size)


def test_stages_behind_the_last_feature_do_not_run(space, images):
    supernet = Supernet(space, out_features=["res3"])
    supernet.set_path(A)
    supernet(images)["res3"].sum().backward()
    idle = {id(p) for p in supernet.inactive_parameters()}
    assert {id(p) for p in supernet.res5.parameters()} <= idle
    assert idle == {id(p) for p in supernet.parameters() if p.grad is None}


@pytest.mark.parametrize("wrong", [[], ["res6"], ["res2", "res2"], "res", ["stem"]])
def test_wrong_out_features(space, wrong):
    with pytest.raises(ValueError, match="out_features.*res2, res3, res4, res5"):
        Supernet(space, out_features=wrong)
