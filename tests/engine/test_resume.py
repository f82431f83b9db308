"""Interrupted and resumed trainings leave what the uninterrupted one leaves, bit for bit."""

from __future__ import annotations

import os
import signal

import pytest
import tiny
from detectron2.engine import HookBase

from detnas_d2.engine import LazyTrainer, build_trainer


class Interrupted(Exception):
    pass


class Interruption(HookBase):
    """Ends a training before step `at` (9: after the last one, before the last evaluation)."""

    def __init__(self, how, at):
        self.how, self.at = how, at

    def before_step(self):
        if self.trainer.iter == self.at:
            self.strike()

    def strike(self):
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


def interrupt(cfg, how, at):
    try:
        train(cfg, interruption=Interruption(how, at))
    except (SystemExit, Interrupted) as error:
        assert isinstance(error, SystemExit) == (how == "SIGTERM")
        assert how != "SIGTERM" or error.code == 128 + signal.SIGTERM
    else:
        pytest.fail("was not interrupted")
    if how != "kill":
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def compare(folder, expected):
    assert tiny.metrics(folder) == tiny.metrics(expected)
    assert tiny.same(tiny.state(folder), tiny.state(expected))


MAKE = {
    "supernet": tiny.classifier,
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
        return folders[kind]

    return get


def test_what_is_compared_holds_something(uninterrupted):
    folder = uninterrupted("fixed")
    lines = tiny.metrics(folder)
    # by turns of two, evaluations of three, the last iteration, and the evaluation after it
    assert [line["iteration"] for line in lines] == [1, 2, 3, 5, 7, 8, 9]
    assert [i for i, line in enumerate(lines) if "classification/top1" in line] == [1, 3, 6]
    assert all(
        {"total_loss", "lr"} <= line.keys() for i, line in enumerate(lines) if i not in (1, 6)
    )
    state = tiny.state(folder)
    assert state["iteration"] == 8 and state["hooks"]["LRScheduler"]["last_epoch"] == 9
    assert state["optimizer"]["state"][0]["exp_avg"].abs().sum() > 0
    assert len(state["metrics"]["total_loss"]["values"]) == 9
    different = tiny.state(folder, "model_0000005")
    assert not tiny.same(different["model"], state["model"])


@pytest.mark.parametrize(
    ("kind", "how", "at", "workers"),
    [
        # before the first checkpoint, right after one, between two, in the last iteration
        ("fixed", "exception", 1, 0),
        ("fixed", "SIGTERM", 3, 0),
        ("fixed", "kill", 5, 0),
        ("fixed", "exception", 8, 0),
        ("fixed", "kill", 8, 0),
        ("supernet", "kill", 3, 0),
        ("supernet", "exception", 4, 2),
        ("supernet", "SIGTERM", 4, 2),
        ("detector", "SIGTERM", 4, 2),
        ("retinanet", "kill", 5, 0),
    ],
)
def test_a_training_resumes_bit_identically(
    tmp_path, bccd_images, uninterrupted, kind, how, at, workers
):
    cfg = config(kind, tmp_path, workers)
    interrupt(cfg, how, at)
    start = train(cfg, resume=True)
    assert start == (at + 1 if how == "SIGTERM" else at // 3 * 3)
    compare(tmp_path, uninterrupted(kind))


def test_a_training_interrupted_often(tmp_path, uninterrupted):
    cfg = config("fixed", tmp_path)
    interrupt(cfg, "exception", 2)
    starts = []
    for how, at in (("SIGTERM", 1), ("kill", 4), ("exception", 5), ("SIGTERM", 6)):
        trainer = build_trainer(cfg)
        trainer.register_hooks([Interruption(how, at)])
        trainer.resume_or_load(resume=True)
        starts.append(trainer.start_iter)
        with pytest.raises((SystemExit, Interrupted)):
            trainer.train()
    assert starts == [0, 2, 3, 3]
    assert train(cfg, resume=True) == 7
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


def test_killed_between_the_last_two_checkpoints(tmp_path, uninterrupted):
    cfg = config("fixed", tmp_path)
    trainer = build_trainer(cfg)
    save = trainer.checkpointer.save

    def killed(name, **kwargs):
        if name == "model_final":
            trainer.after_train = lambda: None
            raise Interrupted
        save(name, **kwargs)

    trainer.checkpointer.save = killed
    with pytest.raises(Interrupted):
        trainer.train()
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000008.pth"
    assert train(cfg, resume=True) == 9
    compare(tmp_path, uninterrupted("fixed"))
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"


def test_resuming_what_is_finished_changes_nothing(tmp_path, uninterrupted):
    cfg = config("fixed", tmp_path)
    train(cfg)
    assert train(cfg, resume=True) == 9
    compare(tmp_path, uninterrupted("fixed"))


def test_checkpoints_of_killed_stops_do_not_pile_up(tmp_path, uninterrupted):
    """SIGTERM saves one out of turn. SIGKILL then leaves half of it, or all of it unnamed."""
    cfg = config("fixed", tmp_path)
    cfg.train.checkpointer.max_to_keep = 1
    interrupt(cfg, "kill", 4)
    for name in ("model_0000004.pth.tmp", "model_0000003.pth", "model_0000004.pth", "notes.tmp"):
        (tmp_path / name).write_bytes(b"PK")
    assert train(cfg, resume=True) == 3
    left = {p.name for p in tmp_path.iterdir() if p.suffix in (".pth", ".tmp")}
    assert left == {"model_0000008.pth", "model_final.pth", "notes.tmp"}
    compare(tmp_path, uninterrupted("fixed"))
