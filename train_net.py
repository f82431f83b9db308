#!/usr/bin/env python3
"""Train a supernet or one architecture, for classification or detection; or evaluate it.

    python train_net.py --num-gpus 8                      # the paper's: COCO, FPN, supernet
    python train_net.py --config-file configs/demo/step1_supernet.py
    python train_net.py --config-file CONFIG --resume     # goes on where it was stopped
    python train_net.py --config-file CONFIG --eval-only  # what CONFIG trained
    python train_net.py --config-file CONFIG train.max_iter=100 \\
        model.backbone.bottom_up.architecture=output/best_architecture.json
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from detectron2.engine import default_argument_parser, launch
from detectron2.utils import comm
from torch.multiprocessing import ProcessExitedException

from detnas_d2.commands import add_debug, command, ending
from detnas_d2.engine import build_trainer, evaluate_checkpoint, load_config, setup
from detnas_d2.engine.lock import folder_lock
from detnas_d2.engine.machines import Processes
from detnas_d2.engine.preflight import check_run
from detnas_d2.engine.setup import CONFIG_FILE, save_config
from detnas_d2.trust import add_trust

PROGRAM = "train_net.py"
DEFAULT_CONFIG = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "configs/coco/step2_supernet_fpn_300m.py"
)


def work(args: argparse.Namespace) -> None:
    """Run in each process."""
    with ending(PROGRAM, debug=args.debug):
        run(args)


def run(args: argparse.Namespace) -> None:
    cfg = load_config(args.config_file, args.opts, trust=args.trust, test=args.eval_only)
    with folder_lock(cfg.train.output_dir) if comm.is_main_process() else nullcontext():
        setup(cfg, args)
        if args.eval_only:
            evaluate_checkpoint(cfg)
            if not os.path.exists(os.path.join(cfg.train.output_dir, CONFIG_FILE)):
                save_config(cfg)  # else it is the training's, or a former test's
            return
        trainer = build_trainer(cfg)
        trainer.resume_or_load(resume=args.resume)
        save_config(cfg)
        trainer.train()


@command(PROGRAM, flags=("--resume", "--eval-only", "--trust"))
def main(argv: Sequence[str]) -> None:
    args = add_trust(add_debug(default_argument_parser(epilog=__doc__))).parse_args(argv)
    args.config_file = args.config_file or DEFAULT_CONFIG
    # every problem that can be seen beforehand ends here, before processes are started
    check_run(
        load_config(args.config_file, args.opts, trust=args.trust, test=args.eval_only),
        "test" if args.eval_only else "train",
        Processes(args.num_gpus, args.num_machines, args.machine_rank, args.dist_url),
        resume=args.resume,
    )
    try:
        launch(
            work,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )
    except ProcessExitedException as e:  # it has said why, unless a signal ended it
        if e.signal_name in (None, "SIGINT", "SIGTERM"):
            sys.exit(e.exit_code)
        sys.exit(
            f"{PROGRAM}: a process was ended by {e.signal_name}; memory may be short (or /dev/shm, "
            "at SIGBUS), or a library crashed."
        )


if __name__ == "__main__":
    main()
