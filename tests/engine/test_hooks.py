"""The hooks alone, in Detectron2's own SimpleTrainer."""

from __future__ import annotations

import random
import signal
from itertools import count

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


def test_path_and_draws_are_functions_of_seed_and_iteration():
    runs = []
    for seed, start in ((5, 0), (5, 2), (6, 0)):
        draws = Draws()
        hooks = [StepSeeding(seed), PathResampling(UniformPathSampler(tiny.SPACE, seed)), draws]
        random.seed(start), np.random.seed(start), torch.manual_seed(start)
        plain_trainer(hooks).train(start, 6)
        runs.append(draws)
    whole, resumed, other = runs
    # dropout draws before this hook does: its numbers are part of what is compared
    assert resumed.drawn == whole.drawn[2:] and resumed.paths == whole.paths[2:]
    assert whole.paths == [UniformPathSampler(tiny.SPACE, 5)(i) for i in range(6)]
    assert len({n for numbers in whole.drawn for n in numbers}) == 18
    assert not set(other.drawn) & set(whole.drawn)


def test_each_rank_draws_its_own_numbers_but_takes_the_same_path(monkeypatch):
    ranks = []
    for rank in (0, 1):
        monkeypatch.setattr("detectron2.utils.comm.get_rank", lambda rank=rank: rank)
        draws = Draws()
        hooks = [StepSeeding(5), PathResampling(UniformPathSampler(tiny.SPACE, 5)), draws]
        plain_trainer(hooks).train(0, 3)
        ranks.append(draws)
    assert ranks[0].paths == ranks[1].paths
    assert not set(ranks[0].drawn) & set(ranks[1].drawn)


class Never(HookBase):
    def before_step(self):
        pytest.fail("training has started")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: nn.Linear(1, 1), "no DetNAS backbone"),
        (
            lambda: instantiate(tiny.classifier("", tiny.ARCHITECTURE).model),
            "this one has StandAlone",
        ),
    ],
)
def test_a_model_without_a_supernet_is_refused_before_training(model, message):
    hook = PathResampling(UniformPathSampler(tiny.SPACE, 0))
    with pytest.raises(ConfigError, match=f"needs a model with a Supernet.*{message}"):
        plain_trainer([hook, Never()], model()).train(0, 2)


def test_another_space_is_refused_before_training():
    hook = PathResampling(UniformPathSampler(tiny.OTHER, 0))
    with pytest.raises(ConfigError, match="from the space 'other', the supernet is of .* 'tiny'"):
        plain_trainer([hook, Never()]).train(0, 2)


def test_a_model_can_be_handed_in():
    class Wrapped(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.inner = [model]  # hidden from find_backbone, as behind a compiled wrapper
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, batch):
            return {k: v + 0 * self.weight for k, v in self.inner[0](batch).items()}

    model = instantiate(tiny.classifier("unused").model)
    sampler = UniformPathSampler(tiny.SPACE, 0)
    plain_trainer([PathResampling(sampler, model)], Wrapped(model)).train(0, 2)
    assert model.backbone.path == sampler(1)


class Saver:
    def __init__(self):
        self.names = []

    def save(self, name):
        self.names.append(name)


class Send(HookBase):
    def __init__(self, *signals):
        self.signals = list(signals)

    def before_step(self):
        if self.trainer.iter >= 2 and self.signals:
            signal.raise_signal(self.signals.pop(0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_iteration_saves_and_leaves(number):
    saver, draws = Saver(), Draws()
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    trainer = plain_trainer(
        [
            PathResampling(UniformPathSampler(tiny.SPACE, 0)),
            draws,
            Send(number),
            GracefulStop(saver),
        ]
    )
    with pytest.raises(SystemExit) as info:
        trainer.train(0, 6)
    assert info.value.code == 128 + number
    assert saver.names == ["model_0000002"] and len(draws.paths) == 3
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_interrupt_stops_at_once():
    saver = Saver()

    class Twice(Send):
        def before_step(self):
            super().before_step()
            super().before_step()

    hooks = [Twice(signal.SIGINT, signal.SIGINT), GracefulStop(saver)]
    trainer = plain_trainer([PathResampling(UniformPathSampler(tiny.SPACE, 0)), *hooks])
    with pytest.raises(KeyboardInterrupt):
        trainer.train(0, 6)
    assert saver.names == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_the_last_iteration_there_is_nothing_to_stop():
    saver = Saver()
    hooks = [PathResampling(UniformPathSampler(tiny.SPACE, 0)), Send(signal.SIGTERM)]
    plain_trainer([*hooks, GracefulStop(saver)]).train(0, 3)
    assert saver.names == []
