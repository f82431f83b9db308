"""Interrupted and resumed trainings leave what the uninterrupted one leaves, bit for bit."""

from __future__ import annotations

import os
import signal

import pytest
import tiny
from detectron2.engine import HookBase

from detnas_d2.engine import LazyTrainer, build_trainer
from detnas_d2.space import StrictlyFairPathSampler


class Interrupted(Exception):
    pass


class Interruption(HookBase):
    """Ends a training before step `at` (9: after the last one, before the last evaluation)."""

    def __init__(self, how, at):
        self.how, self.at = how, at

    def before_step(self):
        if self.trainer.iter == self.at:
            if self.how == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)  # obeyed after this step
                return
            if self.how == "kill":  # nothing is tidied up
                self.trainer.after_train = lambda: None
            raise Interrupted


@pytest.fixture(autouse=True)
def _handlers():
    """A simulated kill leaves its signal handlers."""
    former = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def train(cfg, resume=False, interruption=None):
    trainer = build_trainer(cfg)
    if interruption is not None:
        trainer.register_hooks([interruption])
    trainer.resume_or_load(resume=resume)
    start = trainer.start_iter
    trainer.train()
    return start


def interrupt(cfg, how, at, resume=False):
    with pytest.raises((SystemExit, Interrupted)) as caught:
        train(cfg, resume, Interruption(how, at))
    assert getattr(caught.value, "code", None) == (143 if how == "SIGTERM" else None)


def compare(folder, expected):
    assert tiny.metrics(folder) == tiny.metrics(expected)
    assert tiny.same(tiny.state(folder), tiny.state(expected))


def fair(folder):
    """Three passes an update, of the three choices."""
    cfg = tiny.classifier(folder)
    cfg.path_sampler._target_ = StrictlyFairPathSampler
    return cfg


MAKE = {
    "supernet": tiny.classifier,
    "fair": fair,
    "fixed": lambda folder: tiny.classifier(folder, tiny.ARCHITECTURE, tiny.ADAMW),
    "detector": tiny.detector,
    "retinanet": tiny.retinanet,
}


def config(kind, folder, workers=0):
    cfg = MAKE[kind](folder)
    cfg.train.eval_period = 3  # not a multiple of log_period, 2
    cfg.dataloader.train.num_workers = workers
    return cfg


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of the uninterrupted training of a kind, trained once."""
    folders = {}

    def get(kind):
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp("uninterrupted")
            train(config(kind, folders[kind]))
            # by turns of two, evaluations of three, the last iteration, the evaluation after it
            expected = [1, 3, 5, 7, 8] if kind != "fixed" else [1, 2, 3, 5, 7, 8, 9]
            assert [x["iteration"] for x in tiny.metrics(folders[kind])] == expected
        return folders[kind]

    return get


@pytest.mark.parametrize(
    ("kind", "how", "at", "workers"),
    [
        # before the first checkpoint, right after one, between two, in the last iteration
        ("fixed", "exception", 1, 0),
        ("fixed", "kill", 8, 0),
        ("supernet", "kill", 3, 0),
        ("supernet", "exception", 4, 2),
        ("fair", "kill", 3, 0),
        ("detector", "SIGTERM", 4, 2),
        ("retinanet", "kill", 5, 0),
    ],
)
def test_a_training_resumes_bit_identically(
    tmp_path, bccd_images, uninterrupted, kind, how, at, workers
):
    cfg = config(kind, tmp_path, workers)
    interrupt(cfg, how, at)
    if how != "kill":
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    start = train(cfg, resume=True)
    assert start == (at + 1 if how == "SIGTERM" else at // 3 * 3)
    compare(tmp_path, uninterrupted(kind))


def test_a_training_interrupted_often(tmp_path, uninterrupted):
    cfg = config("fixed", tmp_path)
    for how, at in (("exception", 2), ("SIGTERM", 1), ("kill", 4), ("SIGTERM", 6)):
        interrupt(cfg, how, at, resume=True)
    assert train(cfg, resume=True) == 7
    assert train(cfg, resume=True) == 9  # finished, and nothing changes
    compare(tmp_path, uninterrupted("fixed"))


def test_interrupted_in_the_last_evaluation(tmp_path, uninterrupted, monkeypatch):
    cfg = config("fixed", tmp_path)
    test = LazyTrainer.test

    def fails_at_the_end(cfg, model, evaluators=None):
        if (tmp_path / "model_final.pth").exists():
            raise Interrupted
        return test(cfg, model, evaluators)

    monkeypatch.setattr(LazyTrainer, "test", staticmethod(fails_at_the_end))
    with pytest.raises(Interrupted):
        train(cfg)
    assert [line["iteration"] for line in tiny.metrics(tmp_path)] == [1, 2, 3, 5, 7, 8]
    monkeypatch.undo()
    assert train(cfg, resume=True) == 9
    compare(tmp_path, uninterrupted("fixed"))


def test_checkpoints_of_killed_stops_do_not_pile_up(tmp_path, uninterrupted):
    """SIGTERM saves one out of turn. SIGKILL then leaves half of it, or all of it unnamed."""
    cfg = config("fixed", tmp_path)
    cfg.train.checkpointer.max_to_keep = 1
    interrupt(cfg, "kill", 4)
    for name in ("model_0000004.pth.tmp", "model_0000003.pth", "model_0000004.pth", "notes.tmp"):
        (tmp_path / name).write_bytes(b"PK")
    with (tmp_path / "metrics.json").open("a") as file:
        file.write('5\n{"loss": 3}\n{"iteration": 15, "lo')
    assert train(cfg, resume=True) == 3
    left = {p.name for p in tmp_path.iterdir() if p.suffix in (".pth", ".tmp")}
    assert left == {"model_0000008.pth", "model_final.pth", "notes.tmp"}
    compare(tmp_path, uninterrupted("fixed"))
