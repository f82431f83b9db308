"""Path-wise training: what moves, what stays, and what a user can override."""

from __future__ import annotations

import copy

import pytest
import tiny
import torch
from detectron2.engine import HookBase

from detnas_d2.engine import SupernetTrainer, build_trainer
from detnas_d2.space import StrictlyFairPathSampler, UniformPathSampler


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
        for name, tensor in weights.items():  # norm buffers included
            is_idle = name.split(".norm.")[0].split(".conv.")[0] in blocks
            assert torch.equal(tensor, old_weights[name]) == is_idle, name
        for name, parameter in self.parameters():
            assert (parameter.grad is None) == (name in names)
            assert tiny.same(state[name], old_state[name]) == (name in names)


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
    lines = tiny.metrics(tmp_path / "fixed")
    assert [x["iteration"] for x in lines if "classification/top1" in x] == [0, 2]


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


OVERRIDABLE = {
    *("build_model", "build_optimizer", "build_lr_scheduler", "build_train_loader"),
    *("build_test_loader", "build_evaluator", "build_path_sampler", "test"),
    *("build_hooks", "build_writers"),
}


def test_everything_can_be_overridden(tmp_path):
    """What DefaultTrainer's users override."""
    called = set()

    def noting(name):
        def call(self, *args, **kwargs):
            called.add(name)
            return getattr(super(Users, self), name)(*args, **kwargs)

        return call if name in ("build_hooks", "build_writers") else classmethod(call)

    Users = type("Users", (SupernetTrainer,), {name: noting(name) for name in OVERRIDABLE})
    Users._evaluates = True
    cfg = tiny.classifier(tmp_path)
    cfg.train.max_iter = 2
    trainer = Users(cfg)
    assert set(trainer.train()) == {"classification"}
    assert called == OVERRIDABLE
    assert set(Users.test(cfg, trainer.model, tiny.OutputSum("val"))) == {"bbox"}


def test_a_fair_step_takes_the_mean_over_the_passes_that_a_weight_ran_in(tmp_path):
    cfg = tiny.classifier(tmp_path, optimizer=tiny.SGD)
    cfg.path_sampler._target_ = StrictlyFairPathSampler
    cfg.train.max_iter = 1
    trainer = build_trainer(cfg)
    model = copy.deepcopy(trainer.model).train()
    gradients: dict[str, list[torch.Tensor]] = {}
    batches = iter(trainer.build_train_loader(cfg))

    class Expected(HookBase):
        def before_step(self):  # with the seed of the step
            state = torch.get_rng_state()
            for number in range(3):
                model.zero_grad(set_to_none=True)
                with model.backbone.use_path(StrictlyFairPathSampler(tiny.SPACE, 3)(number)):
                    sum(model(next(batches)).values()).backward()
                for name, p in model.named_parameters():
                    if p.grad is not None:
                        gradients.setdefault(name, []).append(p.grad)
            torch.set_rng_state(state)

    trainer.register_hooks([Expected()])
    trainer.train()
    assert {len(g) for g in gradients.values()} == {1, 3}
    for name, p in trainer.model.named_parameters():
        torch.testing.assert_close(p.grad, torch.stack(gradients[name]).mean(0), msg=name)
