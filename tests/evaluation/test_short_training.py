"""Fitness by a short training: that of step 4, a pure function of config and architecture."""

from __future__ import annotations

import copy
import gc
import math

import pytest
import tiny
import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from omegaconf import OmegaConf

from detnas_d2.engine import CheckpointError, ConfigError, DetNASCheckpointer, LazyTrainer
from detnas_d2.evaluation import ShortTraining
from detnas_d2.modeling import Classifier, load_weights
from detnas_d2.search import InProcessExecutor
from detnas_d2.space import UniformPathSampler

ARCHITECTURES = [UniformPathSampler(tiny.SPACE, 1)(i) for i in range(3)]


def config(folder, kind="classifier", architecture=None):
    """A search by a third of 9 iterations; with an architecture, step 4 with all of 3."""
    cfg = getattr(tiny, kind)(folder, architecture)
    cfg.dataloader.test.batch_size = 1
    if kind == "classifier":
        cfg.dataloader.evaluator = L(tiny.OutputSum)(dataset_name="val")
    if architecture is None:
        cfg.pop("path_sampler")
        cfg.dataloader.calibration = None  # nothing reads it
        cfg.search.fitness = L(ShortTraining)(metric="bbox/AP", share=0.3, batch_size=1)
    else:
        cfg.train.max_iter = 3
    return cfg


def scorer(cfg):
    fitness = instantiate(cfg.search.fitness)
    return fitness.build(cfg, None, fitness.load(cfg))


def trained_alone(cfg):
    """The metrics at the end of a training as train_net.py runs it."""
    trainer = LazyTrainer(cfg)
    trainer.resume_or_load(resume=False)
    return {f"bbox/{name}": figure for name, figure in trainer.train()["bbox"].items()}


def saved(model, path):
    DetNASCheckpointer(model, str(path.parent)).save(path.stem)
    return str(path)


@pytest.fixture
def supernet(tmp_path):
    """The file of an untrained one, with statistics that differ by path."""
    torch.manual_seed(5)
    model = LazyTrainer.build_model(tiny.classifier(tmp_path))
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
    return saved(model, tmp_path / "supernet.pth")


def test_the_order_plays_no_part_and_nothing_is_left(tmp_path):
    cfg = config(tmp_path / "out")
    before = copy.deepcopy(cfg)
    forward = [scorer(cfg)(a) for a in ARCHITECTURES]
    score = scorer(cfg)
    torch.manual_seed(99)  # no global state plays a part either, nor is it moved
    state = torch.get_rng_state()
    assert [score(a) for a in ARCHITECTURES[::-1]] == forward[::-1]
    assert len({value for value, _ in forward}) == len(ARCHITECTURES)
    assert torch.equal(torch.get_rng_state(), state)
    assert cfg == before and not (tmp_path / "out").exists()
    cfg.train.seed = 4
    assert scorer(cfg)(ARCHITECTURES[0]) != forward[0]


def test_one_network_is_in_memory_at_a_time(tmp_path):
    """Whenever Python looks for circles, which on a GPU would be too late."""

    def networks():
        return sum(type(x) is Classifier for x in gc.get_objects())

    score, _ = scorer(config(tmp_path)), gc.collect()
    before = networks()
    gc.disable()
    try:
        for a in ARCHITECTURES:
            score(a)
            assert networks() <= before + 1
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", ["classifier", "retinanet"])
def test_it_is_the_training_of_step_4_with_so_many_iterations(kind, tmp_path, bccd_images):
    """Its schedule ends with them, too."""
    value, metrics = scorer(config(tmp_path, kind))(ARCHITECTURES[0])
    assert metrics == trained_alone(config(tmp_path, kind, ARCHITECTURES[0]))
    assert value == metrics["bbox/AP"]


@pytest.mark.parametrize("backbone_only", [False, True])
def test_on_from_a_supernet(tmp_path, supernet, backbone_only):
    """The same as on from its path's weights, cut out by hand."""
    cfg = config(tmp_path)
    cfg.train.init_checkpoint, cfg.train.init_backbone_only = supernet, backbone_only
    alone = config(tmp_path, architecture=ARCHITECTURES[0])
    sliced = LazyTrainer.build_model(alone)
    load_weights(sliced, torch.load(supernet, weights_only=True))
    alone.train.init_checkpoint = saved(sliced, tmp_path / "sliced.pth")
    alone.train.init_backbone_only = backbone_only
    value, metrics = scorer(cfg)(ARCHITECTURES[0])
    assert metrics == trained_alone(alone)
    assert value != scorer(config(tmp_path))(ARCHITECTURES[0])[0]
    # one network's weights fit no other
    cfg.train.init_checkpoint = alone.train.init_checkpoint
    with pytest.raises(CheckpointError, match="the weights are of architecture"):
        scorer(cfg)(ARCHITECTURES[1])


def test_one_that_diverges_is_a_failed_candidate(tmp_path):
    cfg = config(tmp_path)
    cfg.optimizer.lr = 1e30
    (measurement,) = InProcessExecutor(scorer(cfg)).run(ARCHITECTURES[:1])
    reason = "FloatingPointError: The training diverged: Loss became infinite or NaN at iteration="
    assert measurement.error.startswith(reason) and measurement.fitness is None
    cfg.train.max_iter = 1  # no loss after the last update: it is seen when images are scored
    (measurement,) = InProcessExecutor(scorer(cfg)).run(ARCHITECTURES[:1])
    assert "gives NaN or infinity" in measurement.error


@pytest.mark.parametrize("share", [0, 1.5, math.nan, True, "half"])
def test_a_wrong_share(share):
    with pytest.raises(ConfigError, match=r"search.fitness.share is .*above 0 and at most 1"):
        ShortTraining("bbox/AP", share)


def test_a_config_that_can_not_train(tmp_path):
    cfg = config(tmp_path)
    del cfg.optimizer, cfg.train.max_iter
    fitness = instantiate(cfg.search.fitness)
    with pytest.raises(ConfigError, match="lacks optimizer, train.max_iter: import what step 4"):
        fitness.check(cfg)


def test_at_least_one_iteration(tmp_path):
    cfg = config(tmp_path)
    for share, iterations in ((0.01, 1), (0.3, 3), (1, 9)):
        training = ShortTraining("bbox/AP", share).training(cfg, ARCHITECTURES[0])
        assert training.train.max_iter == iterations
        assert OmegaConf.select(training, "model.backbone.architecture") == list(ARCHITECTURES[0])
