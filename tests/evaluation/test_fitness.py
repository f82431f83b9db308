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

from detnas_d2.engine import ConfigError, LazyTrainer
from detnas_d2.evaluation import FastCOCOEvaluator, SupernetFitness, calibrated
from detnas_d2.modeling import load_weights, require_supernet
from detnas_d2.space import UniformPathSampler

ARCHITECTURES = [UniformPathSampler(tiny.SPACE, 1)(i) for i in range(4)]


def config(kind, architecture=None):
    cfg = getattr(tiny, kind)("unused", architecture)
    cfg.search.fitness.metric, cfg.search.fitness.calibration_batches = "bbox/AP", 2
    if kind == "classifier":
        cfg.dataloader.evaluator = L(tiny.OutputSum)(dataset_name="val")
    return cfg


def scorer(cfg, model, images=None):
    """The function that scores candidates, as a search makes it."""
    fitness = instantiate(cfg.search.fitness)
    return fitness.build(cfg, model, images or fitness.load(cfg))


def build(cfg, seed=0):
    torch.manual_seed(seed)
    model = LazyTrainer.build_model(cfg)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
    return model


@pytest.mark.parametrize("kind", ["classifier", "retinanet"])
def test_the_order_plays_no_part_and_the_model_is_left_as_it_was(kind, bccd_images):
    cfg = config(kind)
    model = build(cfg)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fitness = scorer(cfg, model)
    supernet = require_supernet(model, "A search")
    supernet.set_path(ARCHITECTURES[3])
    forward = [fitness(a) for a in ARCHITECTURES]
    torch.manual_seed(99)  # no global state plays a part either
    model.eval()
    backward = [fitness(a) for a in reversed(ARCHITECTURES)][::-1]
    assert forward == backward
    assert len({value for value, _ in forward}) == len(ARCHITECTURES)
    assert tiny.same(dict(model.state_dict()), before)
    assert supernet.path == ARCHITECTURES[3]
    # interleaved with another supernet, in another object of the same weights
    other, twin = scorer(cfg, build(cfg, seed=5)), scorer(cfg, build(cfg))
    interleaved = [
        (other(b)[0], twin(a))[1] for a, b in zip(ARCHITECTURES, ARCHITECTURES[::-1], strict=True)
    ]
    assert interleaved == forward
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", ["classifier", "detector", "retinanet"])
def test_the_network_alone_scores_the_same(kind, bccd_images):
    cfg = config(kind)
    model = build(cfg)
    value, metrics = scorer(cfg, model)(ARCHITECTURES[0])
    alone_cfg = config(kind, ARCHITECTURES[0].choices)
    alone = instantiate(alone_cfg.model)
    load_weights(alone, {"model": model.state_dict()})
    loader = iter(instantiate(cfg.dataloader.calibration))
    data = [next(loader) for _ in range(cfg.search.fitness.calibration_batches)]
    with calibrated(alone, data, cfg.dataloader.calibration.seed):
        results = LazyTrainer.test(alone_cfg, alone)
    # folded norms round otherwise
    assert results["bbox"]["AP"] == pytest.approx(value, rel=1e-4)
    assert metrics == pytest.approx({f"bbox/{k}": v for k, v in results["bbox"].items()}, rel=1e-4)


def test_mixed_precision(bccd_images):
    """Another rounding, and nothing else: of any order, and the model stays in float32."""
    cfg = config("detector")
    model = build(cfg)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    exact = [scorer(cfg, model)(a)[0] for a in ARCHITECTURES[:2]]
    cfg.search.fitness.amp = True
    seen = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, x, y: seen.add(y.dtype))
    fitness = scorer(cfg, model)
    mixed = [fitness(a)[0] for a in ARCHITECTURES[:2]]
    assert [fitness(a)[0] for a in ARCHITECTURES[1::-1]] == mixed[::-1]
    assert seen == {torch.bfloat16}
    assert mixed != exact and mixed == pytest.approx(exact, rel=0.1)
    assert tiny.same(dict(model.state_dict()), before)
    assert not torch.is_autocast_enabled("cpu")


def test_the_memory_layout_is_that_of_all_that_is_computed(bccd_images):
    """It changes no more than rounding."""
    cfg = config("classifier")
    model = build(cfg)
    seen = set()
    for m in model.modules():
        if isinstance(m, torch.nn.Conv2d) and m.groups == 1 and m.kernel_size != (1, 1):
            m.register_forward_hook(lambda m, x, y: seen.add(y.is_contiguous()))
    found = {}
    for last in (None, True, False):
        seen.clear()
        cfg.search.fitness.channels_last = last
        found[last] = scorer(cfg, model)(ARCHITECTURES[0])[0]
        assert seen == {last is False}  # by default channels come last on a CPU
    assert found[None] == found[True] == pytest.approx(found[False], rel=1e-4)
    for amp in (False, True):  # the meta device stands for a GPU: there only with amp
        layer = torch.nn.Conv2d(8, 8, 3, device="meta")
        SupernetFitness("bbox/AP", amp=amp).lay_out(layer)
        assert layer.weight.is_contiguous(memory_format=torch.channels_last) == amp


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": None}, "search.fitness.metric is None; expected the name of a metric"),
        ({"batch_size": 2.0}, "search.fitness.batch_size is 2.0"),
        ({"amp": "yes"}, "search.fitness.amp is 'yes'; expected True or False"),
        ({"cache_memory": -1}, "search.fitness.cache_memory is -1; expected a finite number"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        SupernetFitness(**{"metric": "bbox/AP", **settings})


def test_real_average_precision_is_unrounded_and_quiet(bccd_images, capfd, caplog):
    setup_logger()  # Detectron2's logger would print
    setup_logger(name="fvcore")
    cfg = config("detector")
    cfg.dataloader.evaluator = L(COCOEvaluator)(dataset_name="bccd_val")
    fitness = scorer(cfg, build(cfg))
    capfd.readouterr(), caplog.clear()
    value, metrics = fitness(ARCHITECTURES[0])
    out, err = capfd.readouterr()
    assert out == "" and err == ""
    assert metrics["bbox/AP"] == value and {"bbox/AP50", "bbox/AP-RBC"} <= metrics.keys()
    logging.getLogger("detectron2.evaluation").info("said again")
    assert "said again" in capfd.readouterr().out


class Told(tiny.OutputSum):
    """An evaluator that says what it is told."""

    def evaluate(self):
        return Told.results()


def test_an_evaluator_without_a_figure():
    """Or one that fails: the model is left as it was."""
    cfg = config("classifier")
    cfg.dataloader.evaluator = L(Told)(dataset_name="bccd_val")
    model = build(cfg)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    score = scorer(cfg, model)
    Told.results = lambda: {"bbox": {"AP": math.nan, "AP50": 2}}
    value, metrics = score(ARCHITECTURES[0])
    assert math.isnan(value) and math.isnan(metrics["bbox/AP"]) and metrics["bbox/AP50"] == 2.0
    for results, error, message in (
        (lambda: {"segm": {"AP": 1.0}}, ConfigError, r"fitness.metric is 'bbox/AP'.*segm/AP"),
        (dict, RuntimeError, "The evaluator gives no metrics"),
        (lambda: 1 / 0, ZeroDivisionError, "division"),
    ):
        Told.results = results
        with pytest.raises(error, match=message):
            score(ARCHITECTURES[0])
        assert tiny.same(dict(model.state_dict()), before)
        assert [m.training for m in model.modules()] == modes
        assert require_supernet(model, "A search").path is None


class Empty(tiny.OutputSum):
    """An evaluator that says nothing of nothing."""

    def evaluate(self):
        return None


def silent(kind, evaluator):
    """A detector whose scores never suffice, and its config."""
    cfg = config(kind)
    cfg.dataloader.evaluator = L(evaluator)(dataset_name="bccd_val")
    model = build(cfg)
    (model if kind == "retinanet" else model.roi_heads.box_predictor).test_score_thresh = 1.1
    return cfg, model


@pytest.mark.parametrize(
    ("kind", "evaluator"),
    [
        ("detector", FastCOCOEvaluator),
        ("detector", COCOEvaluator),
        ("retinanet", FastCOCOEvaluator),
        ("detector", Empty),
    ],
)
def test_nothing_detected_is_a_fitness_of_0(kind, evaluator, bccd_images):
    cfg, model = silent(kind, evaluator)
    images = instantiate(cfg.search.fitness).load(cfg)
    value, metrics = scorer(cfg, model, images)(ARCHITECTURES[0])
    assert value == metrics["bbox/AP"] == 0.0
    # Detectron2 names no class where nothing was detected
    cfg.search.fitness.metric = "bbox/AP-RBC"
    assert scorer(cfg, model, images)(ARCHITECTURES[0])[0] == 0.0


@pytest.mark.parametrize(
    ("kind", "part", "number"),
    [
        ("detector", "conv.weight", math.nan),
        ("detector", "box_predictor.bbox_pred.weight", math.inf),
        ("retinanet", "head.bbox_pred.weight", math.inf),
        ("retinanet", "norm.weight", math.nan),
    ],
)
def test_nan_in_weights_is_no_such_thing(kind, part, number, bccd_images):
    """Detectron2 drops what is not finite in silence, which would look like nothing detected."""
    cfg, model = silent(kind, FastCOCOEvaluator)
    supernet = require_supernet(model, "A search")
    taken, other = ARCHITECTURES[:2]
    with supernet.use_path(other):
        unused = {id(p) for block in supernet.inactive_blocks() for p in block.parameters()}
    with supernet.use_path(taken):
        unused -= {id(p) for block in supernet.inactive_blocks() for p in block.parameters()}
    in_backbone = part.split(".")[0] in ("conv", "norm")  # of the one path alone
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(part) and (id(p) in unused or not in_backbone):
                p.view(-1)[-1] = number
    fitness = scorer(cfg, model)
    with pytest.raises(FloatingPointError, match="NaN|not finite"):
        fitness(taken)
    if in_backbone:
        assert fitness(other)[0] == 0.0


def test_infinity_in_one_image_is_no_such_thing_either(bccd_images):
    """As numbers that leave float16 in mixed precision, whose boxes go in silence too."""
    cfg, model = silent("retinanet", FastCOCOEvaluator)
    images = instantiate(cfg.search.fitness).load(cfg)
    assert len(images.validation) > 1
    images.validation[-1][-1]["image"] = torch.full((3, 72, 96), math.inf)
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        scorer(cfg, model, images)(ARCHITECTURES[0])
