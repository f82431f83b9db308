"""What chaos.py kills, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TRAIN = ("train.max_iter=24", "train.checkpointer.period=4", "train.log_period=2")
# as little as it has learnt, it then finds some objects
LOW_SCORES = "model.roi_heads.box_predictor.test_score_thresh=0.0"
STEPS = {
    "step1": ("train_net.py", TRAIN),
    "step2": ("train_net.py", TRAIN),
    "step3": ("search_net.py", (LOW_SCORES,)),
    "step4": ("train_net.py", (*TRAIN, LOW_SCORES, "train.eval_period=7")),
}
"""Script and overrides of the steps of tiny_steps.py, which read what those before them wrote."""
GROUP, SCRIPT = "group", "script"


@dataclass(frozen=True)
class Kind:
    """A way of killing.

    Args:
        of_20: how many of 20 kills are of this kind.
        steps: those that are killed so.
        forked: whether the script runs in a fork of a process that has imported everything, or
            from scratch, as a user starts it.
        writing: kill when a file has just appeared, grown, moved or gone; else at any moment.
        victim: GROUP (the script and all that it started), SCRIPT (alone), or a part of the
            command line of a process that it started, which is then killed alone.
        overrides: of the config, beside those of STEPS.
        warned: SIGTERM first, and SIGKILL when some more files have changed.
        outlives: the script has to come to its end in spite of the kill.
    """

    name: str
    of_20: int
    steps: tuple[str, ...]
    forked: bool = True
    writing: bool = False
    victim: str = GROUP
    overrides: tuple[str, ...] = ()
    warned: bool = False
    outlives: bool = False


_DATA_WORKERS = ("dataloader.train.num_workers=2",)
_WORKERS = ("search.workers=2",)  # Ray's
FULL = (
    Kind("any moment", 7, tuple(STEPS)),
    Kind("while it writes", 5, tuple(STEPS), writing=True),
    Kind("while it stops", 1, ("step1", "step2", "step4"), warned=True),
    Kind("from scratch", 3, ("step2", "step3", "step4"), forked=False),
    Kind("without its data workers", 1, ("step2", "step4"), victim=SCRIPT, overrides=_DATA_WORKERS),
    Kind("a data worker", 1, ("step2", "step4"), victim="", overrides=_DATA_WORKERS),
    Kind("without its workers", 1, ("step3",), False, victim=SCRIPT, overrides=_WORKERS),
    Kind("a worker", 1, ("step3",), False, victim="RayWorker", overrides=_WORKERS, outlives=True),
)
SHORT = (
    Kind("any moment", 10, ("step2", "step3")),
    Kind("while it writes", 10, ("step2", "step3"), writing=True),
)
UNKILLED = Kind("unkilled", 0, ())


@dataclass(frozen=True)
class Kill:
    kind: Kind
    step: str

    @property
    def way(self) -> tuple[str, bool, tuple[str, ...]]:
        """In which the step is run: what its length depends on."""
        return self.step, self.kind.forked, self.kind.overrides


def plan(count: int, kinds: Sequence[Kind]) -> list[Kill]:
    """`count` kills, of all kinds by their shares from the first on, their steps by turns."""
    kills: list[Kill] = []
    for number in range(1, count + 1):
        done = {kind: sum(kill.kind == kind for kill in kills) for kind in kinds}
        kind = max(kinds, key=lambda k: k.of_20 * number / 20 - done[k])
        kills.append(Kill(kind, kind.steps[done[kind] % len(kind.steps)]))
    return kills
