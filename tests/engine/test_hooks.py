"""The hooks alone, in Detectron2's own SimpleTrainer."""

from __future__ import annotations

import random
import signal
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from detectron2.config import instantiate
from detectron2.engine import HookBase, SimpleTrainer
from torch import nn

from detnas_d2.engine import ConfigError, PathResampling, StepSeeding
from detnas_d2.engine.hooks import GracefulStop
from detnas_d2.space import UniformPathSampler


def images():
    rng = np.random.default_rng(0)
    for _ in count():
        yield [
            {"image": torch.as_tensor(rng.uniform(0, 255, (3, 32, 32))), "category_id": i % 3}
            for i in range(2)
        ]


class Draws(HookBase):
    """What each step would draw, and its path."""

    def __init__(self):
        self.drawn, self.paths = [], []

    def after_step(self):
        numbers = (random.random(), float(np.random.rand()), float(torch.rand(())))
        self.drawn.append(numbers)
        self.paths.append(self.trainer.model.backbone.path)


def plain_trainer(hooks, model=None):
    model = instantiate(tiny.classifier("unused").model) if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=0.1)
    trainer = SimpleTrainer(model, images(), optimizer)
    trainer.register_hooks(hooks)
    return trainer


def test_path_and_draws_are_functions_of_seed_and_iteration(monkeypatch):
    """Each rank draws its own numbers, but takes the same path."""
    runs = []
    for seed, start, rank in ((5, 0, 0), (5, 2, 0), (6, 0, 0), (5, 0, 1)):
        monkeypatch.setattr("detectron2.utils.comm.get_rank", lambda rank=rank: rank)
        draws = Draws()
        hooks = [StepSeeding(seed), PathResampling(UniformPathSampler(tiny.SPACE, seed)), draws]
        random.seed(start), np.random.seed(start), torch.manual_seed(start)
        plain_trainer(hooks).train(start, 6)
        runs.append(draws)
    whole, resumed, other, second_rank = runs
    # dropout draws before this hook does: its numbers are part of what is compared
    assert resumed.drawn == whole.drawn[2:] and resumed.paths == whole.paths[2:]
    assert whole.paths == [UniformPathSampler(tiny.SPACE, 5)(i) for i in range(6)]
    assert len({n for numbers in whole.drawn for n in numbers}) == 18
    assert not {*other.drawn, *second_rank.drawn} & set(whole.drawn)
    assert second_rank.paths == whole.paths


class Never(HookBase):
    def before_step(self):
        pytest.fail("training has started")


@pytest.mark.parametrize(
    ("architecture", "space", "message"),
    [
        (None, tiny.OTHER, "from the space 'other', the supernet is of .* 'tiny'"),
        (tiny.ARCHITECTURE, tiny.SPACE, "needs a model with a Supernet.*this one has StandAlone"),
        ("none", tiny.SPACE, "needs a model with a Supernet.*no DetNAS backbone"),
    ],
)
def test_what_has_no_such_paths_is_refused_before_training(architecture, space, message):
    model = nn.Linear(1, 1)
    if architecture != "none":
        model = instantiate(tiny.classifier("", architecture).model)
    hook = PathResampling(UniformPathSampler(space, 0))
    with pytest.raises(ConfigError, match=message):
        plain_trainer([hook, Never()], model).train(0, 2)


class Send(HookBase):
    """Sends the signals before step 2."""

    def __init__(self, *signals):
        self.signals = signals

    def before_step(self):
        if self.trainer.iter == 2:
            for number in self.signals:
                signal.raise_signal(number)


def interrupted(*signals, max_iter=6):
    """What a training raises, the number of its steps, and what it saved on the way out."""
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    saved, draws = [], Draws()
    path = PathResampling(UniformPathSampler(tiny.SPACE, 0))
    stop = GracefulStop(SimpleNamespace(save=saved.append))
    trainer = plain_trainer([path, draws, Send(*signals), stop])
    raised = None
    try:
        trainer.train(0, max_iter)
    except (SystemExit, KeyboardInterrupt) as error:
        raised = error.code if isinstance(error, SystemExit) else type(error)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    return raised, len(draws.paths), saved


def test_a_signal_ends_the_iteration_saves_and_leaves():
    saved = ["model_0000002"]
    assert interrupted(signal.SIGINT) == (128 + signal.SIGINT, 3, saved)
    assert interrupted(signal.SIGTERM) == (128 + signal.SIGTERM, 3, saved)
    # another signal is the same wish; only a second Ctrl-C can't wait
    assert interrupted(signal.SIGTERM, signal.SIGINT) == (128 + signal.SIGINT, 3, saved)
    assert interrupted(signal.SIGINT, signal.SIGINT) == (KeyboardInterrupt, 2, [])
    # in the last iteration there is nothing to stop
    assert interrupted(signal.SIGTERM, max_iter=3) == (None, 3, [])
