"""Path-wise training: what moves, what stays, and what a user can override."""

from __future__ import annotations

import copy

import pytest
import tiny
import torch
from detectron2.engine import HookBase
from detectron2.evaluation import DatasetEvaluator
from detectron2.solver import LRMultiplier
from detectron2.utils.events import EventWriter
from fvcore.common.param_scheduler import LinearParamScheduler

from detnas_d2.engine import ConfigError, LazyTrainer, SupernetTrainer, build_trainer
from detnas_d2.space import Architecture, PathSampler, UniformPathSampler


class Watch(HookBase):
    """Compares the tensors of the model and the optimizer before and after each step."""

    def __init__(self):
        self.paths = []

    def snapshot(self):
        optimizer = self.trainer.optimizer
        state = {name: copy.deepcopy(optimizer.state.get(p)) for name, p in self.parameters()}
        return {k: v.clone() for k, v in self.trainer.model.state_dict().items()}, state

    def parameters(self):
        return self.trainer.model.named_parameters()

    def before_step(self):
        self.before = self.snapshot()

    def after_step(self):
        supernet = self.trainer.model.backbone
        self.paths.append(supernet.path)
        inactive = {id(t) for block in supernet.inactive_blocks() for t in block.parameters()}
        names = {n for n, p in self.parameters() if id(p) in inactive}
        blocks = {n.split(".norm.")[0].split(".conv.")[0] for n in names}
        (weights, state), (old_weights, old_state) = self.snapshot(), self.before
        assert len(names) > 20
        for name, tensor in weights.items():
            unchanged = torch.equal(tensor, old_weights[name])
            if name.split(".norm.")[0].split(".conv.")[0] in blocks:
                assert unchanged, name  # norm buffers included
            else:
                assert not unchanged, name
        for name, parameter in self.parameters():
            if name in names:
                assert parameter.grad is None
                assert tiny.same(state[name], old_state[name])
            else:
                assert parameter.grad is not None
                assert not tiny.same(state[name], old_state[name])


@pytest.mark.parametrize("optimizer", [tiny.SGD, tiny.ADAMW], ids=["SGD", "AdamW"])
def test_only_the_active_path_moves(tmp_path, optimizer):
    cfg = tiny.classifier(tmp_path, optimizer=optimizer)
    cfg.optimizer.params.weight_decay_norm = 0.01  # so that every active tensor has to change
    trainer = build_trainer(cfg)
    assert type(trainer) is SupernetTrainer
    watch = Watch()
    trainer.register_hooks([watch])
    trainer.train()
    sampler = UniformPathSampler(tiny.SPACE, seed=3)
    assert watch.paths == [sampler(i) for i in range(9)]
    assert len(set(watch.paths)) > 5


def test_a_detectors_inactive_weights_stay(tmp_path, bccd_images):
    cfg = tiny.detector(tmp_path)
    cfg.train.max_iter = 4
    trainer = build_trainer(cfg)
    supernet = trainer.model.backbone.bottom_up

    class Check(HookBase):
        def before_step(self):
            self.old = [(p, p.detach().clone()) for p in supernet.parameters()]

        def after_step(self):
            inactive = {id(p) for p in supernet.inactive_parameters()}
            for p, old in self.old:
                assert torch.equal(p, old) == (id(p) in inactive)
                assert (p.grad is None) == (id(p) in inactive)

    trainer.register_hooks([Check()])
    trainer.train()


def test_a_supernet_is_not_evaluated_and_a_fixed_network_is(tmp_path):
    supernet, fixed = (
        tiny.classifier(tmp_path / name, architecture)
        for name, architecture in (("supernet", None), ("fixed", tiny.ARCHITECTURE))
    )
    for cfg in (supernet, fixed):
        cfg.train.max_iter = 2
        cfg.train.eval_period = 1
    assert build_trainer(supernet).train() is None
    results = build_trainer(fixed).train()
    assert set(results) == {"classification"} and set(results["classification"]) == {"top1", "top2"}
    evaluated = [
        line["iteration"]
        for line in tiny.metrics(tmp_path / "fixed")
        if "classification/top1" in line
    ]
    assert evaluated == [0, 2]


def test_a_supernet_without_paths_is_refused(tmp_path):
    cfg = tiny.classifier(tmp_path)
    del cfg["path_sampler"]
    with pytest.raises(ConfigError, match="no 'path_sampler'"):
        build_trainer(cfg)


def test_the_seed_decides_the_first_weights(tmp_path):
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(states))  # whatever the global generator holds
        cfg = tiny.classifier(tmp_path)
        cfg.train.seed = seed
        before = torch.get_rng_state()
        states.append(build_trainer(cfg).model.state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    first, again, other = states
    assert tiny.same(first, again) and not tiny.same(first, other)


class Fixed(PathSampler):
    def _draw(self, rng):
        return tiny.ARCHITECTURE


class Count(DatasetEvaluator):
    def reset(self):
        self.images = 0

    def process(self, inputs, outputs):
        self.images += len(inputs)

    def evaluate(self):
        return {"count": {"images": self.images}}


class Lines(EventWriter):
    lines = 0

    def write(self):
        Lines.lines += 1


class Note(HookBase):
    steps = 0

    def after_step(self):
        Note.steps += 1


class Users(SupernetTrainer):
    """Overrides everything that DefaultTrainer's users override."""

    _evaluates = True

    @classmethod
    def build_model(cls, cfg):
        model = super().build_model(cfg)
        model.mark = "users"
        return model

    @classmethod
    def build_optimizer(cls, cfg, model):
        return torch.optim.Adagrad(model.parameters(), lr=0.5)

    @classmethod
    def build_lr_scheduler(cls, cfg, optimizer):
        return LRMultiplier(optimizer, LinearParamScheduler(0.5, 0.5), max_iter=cfg.train.max_iter)

    @classmethod
    def build_train_loader(cls, cfg):
        loader = super().build_train_loader(cfg)
        loader.dataset._mapper.size = 40
        return loader

    @classmethod
    def build_test_loader(cls, cfg, dataset_name):
        assert dataset_name == "val"
        return list(super().build_test_loader(cfg, dataset_name))[:2]

    @classmethod
    def build_evaluator(cls, cfg, dataset_name):
        assert dataset_name == "val"
        return Count()

    @classmethod
    def build_path_sampler(cls, cfg):
        return Fixed(tiny.SPACE, 0)

    def build_hooks(self):
        return [*super().build_hooks(), Note()]

    def build_writers(self):
        return [*super().build_writers(), Lines()]

    @classmethod
    def test(cls, cfg, model, evaluators=None):
        return {"mine": super().test(cfg, model, evaluators)["count"]}


def test_everything_can_be_overridden(tmp_path):
    Note.steps = Lines.lines = 0
    cfg = tiny.classifier(tmp_path)
    cfg.train.max_iter = 2
    trainer = Users(cfg)
    seen = []
    trainer.model.register_forward_pre_hook(lambda m, x: seen.append(x[0][0]["image"].shape[-1]))
    assert trainer.train() == {"mine": {"images": 10}}
    assert trainer.model.mark == "users"
    assert type(trainer.optimizer) is torch.optim.Adagrad
    assert trainer.optimizer.param_groups[0]["lr"] == 0.25
    assert trainer.model.backbone.path == Architecture(tiny.SPACE, tiny.ARCHITECTURE)
    assert seen == [40, 40, 33, 33]
    assert Note.steps == 2 and Lines.lines == 2  # at the last iteration and at the end
    assert Users.test(cfg, trainer.model, [Count()]) == {"mine": {"images": 10}}


def test_a_loader_without_steps_is_warned_of_on_resume(tmp_path, caplog):
    class Plain(LazyTrainer):
        @classmethod
        def build_train_loader(cls, cfg):
            return [[tiny.NoiseMapper()(r) for r in tiny.records("train", 4)]] * 9

    cfg = tiny.classifier(tmp_path, tiny.ARCHITECTURE)
    Plain(cfg).train()
    assert "start_step" not in caplog.text
    cfg.train.max_iter = 10
    trainer = Plain(cfg)
    trainer.resume_or_load(resume=True)
    trainer.train()
    assert "has no 'start_step'" in caplog.text


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    trainer = build_trainer(tiny.classifier(tmp_path))
    with torch.no_grad():
        trainer.model.fc.bias[0] = float("nan")
    with pytest.raises(FloatingPointError, match="iteration=0"):
        trainer.train()
