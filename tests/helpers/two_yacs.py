"""Run by tests/integration/test_yacs.py: the yacs script's `run` on two gloo processes.

python two_yacs.py FOLDER --config-file FILE KEY VALUE ...
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import torch
from detectron2.engine import HookBase, default_argument_parser, launch
from detectron2.utils import comm

from detnas_d2.trust import add_trust

SCRIPT = Path(__file__).resolve().parents[2] / "projects/DetNAS/train_net.py"


class Record(HookBase):
    """Paths, images, and the weights afterwards; batch-norm statistics are each process's own."""

    def __init__(self):
        self.found = {"paths": [], "images": []}

    def before_train(self):
        self.trainer.model.register_forward_pre_hook(self.see)

    def see(self, model, args):
        self.found["images"].append([image["file_name"] for image in args[0]])
        self.found["paths"].append(model.backbone.bottom_up.path.choices)

    def after_train(self):
        self.found["weights"] = dict(self.trainer.model.named_parameters())


def work(folder, args):
    run = runpy.run_path(str(SCRIPT))["run"]
    record = Record()

    class Recorded(run.__globals__["Trainer"]):
        def build_hooks(self):
            return [*super().build_hooks(), record]

    run.__globals__["Trainer"] = Recorded
    run(args)
    torch.save(record.found, Path(folder) / f"rank{comm.get_rank()}.pth")


if __name__ == "__main__":
    args = add_trust(default_argument_parser()).parse_args(sys.argv[2:])
    launch(work, 2, dist_url="auto", args=(sys.argv[1], args))
