"""A path's score in parts, on several processes' models: bit for bit that of one."""

from __future__ import annotations

import itertools
import pickle

import pytest
import tiny
import torch
from detectron2.config import instantiate

from detnas_d2.engine import LazyTrainer
from detnas_d2.space import UniformPathSampler

FIRST, SECOND = (UniformPathSampler(tiny.SPACE, 1)(i) for i in range(2))


def build(cfg, images, hooks=()):
    """The function that scores, and the forwards of its model by mode, as they come."""
    torch.manual_seed(0)
    model = LazyTrainer.build_model(cfg)
    forwards = []
    model.register_forward_pre_hook(lambda m, _: forwards.append(m.training))
    for hook in hooks:
        model.register_forward_hook(hook)
    return instantiate(cfg.search.fitness).build(cfg, model, images), forwards


def in_parts(scores, architecture):
    """Unit by unit, last first, each on the next of the models; what travels goes by pickle."""
    turns, results = itertools.cycle(scores), []
    for number, phase in enumerate(scores[0].phases):
        given = [results[i] for i in phase.needs]
        found = {}
        for unit in reversed(range(phase.units)):
            run = next(turns).phases[number].run
            (found[unit],) = run(architecture, range(unit, unit + 1), *given)
        results.append(pickle.loads(pickle.dumps([found[i] for i in range(phase.units)])))
    return results[-1][0]


@pytest.mark.parametrize(
    ("kind", "amp"), [("classifier", False), ("detector", False), ("retinanet", True)]
)
def test_parts_give_what_the_whole_gives(kind, amp, bccd_images):
    cfg = getattr(tiny, kind)("unused")
    cfg.search.fitness.update(calibration_batches=3, batch_size=1, amp=amp)
    images = instantiate(cfg.search.fitness).load(cfg)
    whole, *workers = (build(cfg, images)[0] for _ in range(3))
    assert [phase.units for phase in whole.phases] == [3, 1, len(images.validation), 1]
    for architecture in (FIRST, SECOND, FIRST):
        assert in_parts(workers, architecture) == whole(architecture)


def add_function(model, _, outputs):
    """Which no pickle takes."""
    for output in () if model.training else outputs:
        output["later"] = lambda: None


@pytest.mark.parametrize(("most_bytes", "hooks"), [(10, []), (16_384, [add_function])])
def test_outputs_that_stay_are_made_where_the_evaluator_is(
    most_bytes, hooks, monkeypatch, bccd_images
):
    """Large ones, such as masks, and those that can't be pickled: once, but for the first batch of
    each process, and never sent."""
    cfg = tiny.retinanet("unused")
    cfg.search.fitness.update(calibration_batches=2, batch_size=1)
    images = instantiate(cfg.search.fitness).load(cfg)
    expected = build(cfg, images)[0](FIRST)
    monkeypatch.setattr("detnas_d2.evaluation.scoring.MOST_BYTES", most_bytes)
    score, forwards = build(cfg, images, hooks)
    assert score(FIRST) == expected
    batches = len(images.validation)
    assert forwards.count(False) == 1 + batches
    assert score(SECOND) and forwards.count(False) == 1 + 2 * batches
