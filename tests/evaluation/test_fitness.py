"""Fitness: a pure function of weights, architecture and data."""

from __future__ import annotations

import logging
import math

import pytest
import tiny
import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from detectron2.evaluation import COCOEvaluator
from detectron2.utils.logger import setup_logger
from omegaconf import OmegaConf

from detnas_d2.engine import ConfigError, LazyTrainer, require_supernet
from detnas_d2.evaluation import (
    FastCOCOEvaluator,
    SupernetFitness,
    build_fitness,
    calibrated,
    load_images,
    set_memory_layout,
)
from detnas_d2.modeling import load_weights
from detnas_d2.space import Architecture, UniformPathSampler

ARCHITECTURES = [UniformPathSampler(tiny.SPACE, 1)(i) for i in range(4)]


def classifier_cfg(architecture=None):
    cfg = tiny.classifier("unused", architecture)
    cfg.dataloader.evaluator = L(tiny.OutputSum)(dataset_name="val")
    cfg.search.metric = "bbox/AP"
    return cfg


def detector_cfg(architecture=None, make=tiny.detector):
    cfg = make("unused", architecture)
    cfg.search.calibration_batches = 2
    return cfg


def retinanet_cfg(architecture=None):
    return detector_cfg(architecture, tiny.retinanet)


CFGS = {"classifier": classifier_cfg, "detector": detector_cfg, "retinanet": retinanet_cfg}


def build(cfg, seed=0):
    torch.manual_seed(seed)
    model = LazyTrainer.build_model(cfg)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
    return model


@pytest.mark.parametrize("kind", list(CFGS))
def test_the_order_plays_no_part_and_the_model_is_left_as_it_was(kind, bccd_images):
    cfg = CFGS[kind]()
    model = build(cfg)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fitness = build_fitness(cfg, model)
    fitness.supernet.set_path(ARCHITECTURES[3])
    forward = [fitness(a) for a in ARCHITECTURES]
    torch.manual_seed(99)  # no global state plays a part either
    model.eval()
    backward = [fitness(a) for a in reversed(ARCHITECTURES)][::-1]
    assert forward == backward
    assert len({value for value, _ in forward}) == len(ARCHITECTURES)
    assert tiny.same(dict(model.state_dict()), before)
    assert fitness.supernet.path == ARCHITECTURES[3]
    # interleaved with another supernet, in another object of the same weights
    other, twin = build_fitness(cfg, build(cfg, seed=5)), build_fitness(cfg, build(cfg))
    interleaved = [
        (other(b)[0], twin(a))[1] for a, b in zip(ARCHITECTURES, ARCHITECTURES[::-1], strict=True)
    ]
    assert interleaved == forward
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", list(CFGS))
def test_the_network_alone_scores_the_same(kind, bccd_images):
    cfg = CFGS[kind]()
    model = build(cfg)
    value, metrics = build_fitness(cfg, model)(ARCHITECTURES[0])
    alone_cfg = CFGS[kind](ARCHITECTURES[0].choices)
    alone = instantiate(alone_cfg.model)
    load_weights(alone, {"model": model.state_dict()})
    loader = iter(instantiate(cfg.dataloader.calibration))
    data = [next(loader) for _ in range(cfg.search.calibration_batches)]
    with calibrated(alone, data, cfg.dataloader.calibration.seed):
        results = LazyTrainer.test(alone_cfg, alone)
    # folded norms round otherwise
    assert results["bbox"]["AP"] == pytest.approx(value, rel=1e-4)
    assert metrics == pytest.approx({f"bbox/{k}": v for k, v in results["bbox"].items()}, rel=1e-4)


@pytest.mark.parametrize("kind", list(CFGS))
def test_mixed_precision(kind, bccd_images):
    """Another rounding, and nothing else: of any order, and the model stays in float32."""
    cfg = CFGS[kind]()
    model = build(cfg)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    exact = [build_fitness(cfg, model)(a)[0] for a in ARCHITECTURES[:2]]
    cfg.search.amp = True
    seen = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, x, y: seen.add(y.dtype))
    fitness = build_fitness(cfg, model)
    mixed = [fitness(a)[0] for a in ARCHITECTURES[:2]]
    assert [fitness(a)[0] for a in ARCHITECTURES[1::-1]] == mixed[::-1]
    assert seen == {torch.bfloat16}
    assert mixed != exact and mixed == pytest.approx(exact, rel=0.1)
    assert tiny.same(dict(model.state_dict()), before)
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("key", "amp", "device", "last"),
    [
        (None, False, "cpu", True),
        (None, True, "cpu", True),
        (None, False, "meta", False),  # which stands for a GPU
        (None, True, "meta", True),
        (True, False, "meta", True),
        (False, False, "cpu", False),
        (False, True, "meta", False),
    ],
)
def test_memory_layout(key, amp, device, last):
    cfg = OmegaConf.create({"search": {"channels_last": key, "amp": amp}})
    model = torch.nn.Conv2d(8, 8, 3).to(device)
    for before in (torch.channels_last, torch.contiguous_format):
        model.to(memory_format=before)
        set_memory_layout(cfg, model)
        assert model.weight.is_contiguous(memory_format=torch.channels_last) == last
        assert model.weight.is_contiguous() == (not last)


def test_the_memory_layout_is_that_of_all_that_is_computed(bccd_images):
    """By default as in a config without the key, and it changes no more than rounding."""
    cfg = classifier_cfg()
    model = build(cfg)
    found = {}
    for key in (None, True, False):
        cfg.search.channels_last = key
        seen = set()
        hooks = [
            m.register_forward_hook(lambda m, x, y, seen=seen: seen.add(y.is_contiguous()))
            for m in model.modules()
            if isinstance(m, torch.nn.Conv2d) and m.groups == 1 and m.kernel_size != (1, 1)
        ]
        found[key] = build_fitness(cfg, model)(ARCHITECTURES[0])[0]
        for hook in hooks:
            hook.remove()
        assert seen == {key is False}
    del cfg.search.channels_last
    assert build_fitness(cfg, model)(ARCHITECTURES[0])[0] == found[None] == found[True]
    assert found[False] == pytest.approx(found[True], rel=1e-4)


def test_statistics_are_collected(bccd_images):
    """Were they not, the running statistics of the supernet would decide the fitness."""
    cfg = classifier_cfg()
    model = build(cfg)
    value, _ = build_fitness(cfg, model)(ARCHITECTURES[0])
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.mul_(50)
    assert build_fitness(cfg, model)(ARCHITECTURES[0])[0] == value
    cfg.search.calibration_batches = 1
    assert build_fitness(cfg, model)(ARCHITECTURES[0])[0] != value


def test_real_average_precision_is_unrounded_and_quiet(bccd_images, capfd, caplog):
    setup_logger()  # Detectron2's logger would print
    setup_logger(name="fvcore")
    cfg = detector_cfg()
    cfg.dataloader.evaluator = L(COCOEvaluator)(dataset_name="bccd_val")
    fitness = build_fitness(cfg, build(cfg))
    levels = {
        n: logging.getLogger(n).level for n in ("detectron2.evaluation", "fvcore.nn.precise_bn")
    }
    capfd.readouterr(), caplog.clear()
    value, metrics = fitness(ARCHITECTURES[0])
    out, err = capfd.readouterr()
    assert out == "" and err == ""
    assert metrics["bbox/AP"] == value and {"bbox/AP50", "bbox/AP-RBC"} <= metrics.keys()
    assert {n: logging.getLogger(n).level for n in levels} == levels


def simple(results, metric="bbox/AP"):
    model = build(classifier_cfg())
    data = [[tiny.NoiseMapper()(r) for r in tiny.records("train", 4)]]
    return SupernetFitness(model, data, lambda model: results, metric, seed=0)


def test_a_metric_that_is_missing():
    with pytest.raises(ConfigError, match="search.metric is 'bbox/AP'.*segm/AP"):
        simple({"segm": {"AP": 1.0}})(ARCHITECTURES[0])
    with pytest.raises(RuntimeError, match="The evaluator gives no metrics"):
        simple({})(ARCHITECTURES[0])


def test_nan_passes_as_nan():
    value, metrics = simple({"bbox": {"AP": float("nan"), "AP50": 2}})(ARCHITECTURES[0])
    assert math.isnan(value) and math.isnan(metrics["bbox/AP"]) and metrics["bbox/AP50"] == 2.0


class Empty(tiny.OutputSum):
    """An evaluator that says nothing of nothing."""

    def evaluate(self):
        return None


def silent_detector(make, evaluator):
    """A detector whose scores never suffice, and its config."""
    cfg = detector_cfg(make=make)
    cfg.dataloader.evaluator = L(evaluator)(dataset_name="bccd_val")
    model = build(cfg)
    if make is tiny.detector:
        model.roi_heads.box_predictor.test_score_thresh = 1.1
    else:
        model.test_score_thresh = 1.1
    return cfg, model


@pytest.mark.parametrize("make", [tiny.detector, tiny.retinanet])
@pytest.mark.parametrize("evaluator", [FastCOCOEvaluator, COCOEvaluator, Empty])
def test_nothing_detected_is_a_fitness_of_0(make, evaluator, bccd_images):
    cfg, model = silent_detector(make, evaluator)
    fitness = build_fitness(cfg, model)
    value, metrics = fitness(ARCHITECTURES[0])
    assert value == metrics["bbox/AP"] == 0.0
    if evaluator is FastCOCOEvaluator:
        assert metrics["bbox/AP-RBC"] == 0.0 and len(metrics) == 9
    cfg.search.metric = "bbox/AP-RBC"  # Detectron2 names no class where nothing was detected
    assert build_fitness(cfg, model)(ARCHITECTURES[0])[0] == 0.0


@pytest.mark.parametrize("make", [tiny.detector, tiny.retinanet])
@pytest.mark.parametrize("part", ["backbone", "head", "norm", "block"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_nan_in_weights_is_no_such_thing(make, part, number, bccd_images):
    """Detectron2 drops what is not finite in silence, which would look like nothing detected."""
    cfg, model = silent_detector(make, FastCOCOEvaluator)
    supernet = require_supernet(model, "A search")
    taken, other = ARCHITECTURES[0], ARCHITECTURES[1]
    with supernet.use_path(taken):
        inactive = {id(p) for block in supernet.inactive_blocks() for p in block.parameters()}
    of_path = [(n, p) for n, p in model.named_parameters() if id(p) not in inactive]
    with supernet.use_path(other):
        unused = {id(p) for block in supernet.inactive_blocks() for p in block.parameters()}
    with torch.no_grad():
        if part == "backbone":
            next(p for n, p in of_path if n.endswith("conv.weight")).view(-1)[0] = number
        elif part == "head":
            head = {tiny.detector: "box_predictor.bbox_pred", tiny.retinanet: "head.bbox_pred"}
            next(p for n, p in of_path if head[make] in n).view(-1)[0] = number
        elif part == "norm":
            next(p for n, p in of_path if n.endswith("norm.weight")).view(-1)[-1] = number
        else:
            next(p for n, p in of_path if id(p) in unused).view(-1)[0] = number
    fitness = build_fitness(cfg, model)
    with pytest.raises(FloatingPointError, match="NaN|not finite"):
        fitness(taken)
    if part == "block":  # the other path does not use it
        assert fitness(other)[0] == 0.0


@pytest.mark.parametrize("make", [tiny.detector, tiny.retinanet])
def test_nan_for_one_image_is_no_such_thing_either(make, bccd_images):
    """As numbers that leave float16 in mixed precision, whose boxes go in silence too."""
    cfg, model = silent_detector(make, FastCOCOEvaluator)
    images = load_images(cfg)
    assert len(images.validation) > 1
    assert build_fitness(cfg, model, images)(ARCHITECTURES[0])[0] == 0.0
    last = images.validation[-1][-1]
    images.validation[-1][-1] = {**last, "image": torch.full(last["image"].shape, math.inf)}
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        build_fitness(cfg, model, images)(ARCHITECTURES[0])


def test_an_evaluator_that_fails_leaves_all_as_it_was():
    fitness = simple({})
    before = {k: v.clone() for k, v in fitness._model.state_dict().items()}
    modes = [m.training for m in fitness._model.modules()]

    def fails(model):
        print("half a report")
        raise ZeroDivisionError

    fitness._evaluate = fails
    with pytest.raises(ZeroDivisionError):
        fitness(ARCHITECTURES[0])
    assert tiny.same(dict(fitness._model.state_dict()), before)
    assert [m.training for m in fitness._model.modules()] == modes
    assert fitness.supernet.path is None


def test_an_architecture_of_another_space_is_refused():
    with pytest.raises(ValueError, match="other"):
        simple({})(Architecture(tiny.OTHER, (0,) * 5))


def test_a_users_trainer_builds_the_evaluation(bccd_images):
    class Users(LazyTrainer):
        @classmethod
        def build_evaluator(cls, cfg, dataset_name):
            evaluator = tiny.OutputSum(dataset_name)
            evaluator.evaluate = lambda: {"mine": {"score": 4.25}}
            return evaluator

    cfg = classifier_cfg()
    cfg.search.metric = "mine/score"
    assert build_fitness(cfg, build(cfg), trainer=Users)(ARCHITECTURES[0]) == (
        4.25,
        {"mine/score": 4.25},
    )


def test_a_model_without_a_supernet():
    with pytest.raises(ConfigError, match="this one has StandAloneNetwork"):
        require_supernet(build(classifier_cfg(tiny.ARCHITECTURE)), "A search")
    with pytest.raises(ConfigError, match="no DetNAS backbone"):
        require_supernet(torch.nn.Linear(1, 1), "A search")
