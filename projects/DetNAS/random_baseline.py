#!/usr/bin/env python3
"""The row "Random" of the paper's Table 4: architectures drawn under the limit, each retrained.

    python projects/DetNAS/random_baseline.py \\
        configs/coco/step3_search_fpn_300m.py configs/coco/step5_test_fpn_300m.py --num-gpus 8

SEARCH_CONFIG gives the space, the limit and the configs of the retraining (search.retrain);
TEST_CONFIG is the test of what they train. Each architecture goes through them in folders of its
own, going on where it was stopped. Writes <TEST_CONFIG>_random_baseline.json beside the test's
folders: the metrics of each, their mean and standard deviation.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from detectron2.config import instantiate

from detnas_d2.commands import add_debug
from detnas_d2.driver import build_limit
from detnas_d2.engine import ConfigError, backbone_node, load_config
from detnas_d2.files import write_atomically
from detnas_d2.search.sampling import draw_random
from detnas_d2.space import Architecture, resolve_space
from detnas_d2.steps import Step, run_script, run_steps

ROOT = Path(__file__).resolve().parents[2]


def draw(search_config: str, count: int, seed: int) -> list[Architecture]:
    """Random architectures under the limit of a search; errors as `draw_random`."""
    cfg = load_config(search_config)
    space = resolve_space(instantiate(backbone_node(cfg).space))
    _, limit = build_limit(cfg, space)
    return draw_random(space, count, limit, seed)


def plan(search_config: str, test_config: str, drawn: list[Architecture], gpus: int) -> list[Step]:
    """Retraining and test of each architecture; step names end with its number.

    Raises:
        ConfigError: the test config reads another checkpoint than the last retraining writes.
    """
    configs = [ROOT / c for c in load_config(search_config).search.retrain]
    if not configs or load_config(test_config).train.init_checkpoint != (
        f"{load_config(str(configs[-1])).train.output_dir}/model_final.pth"
    ):
        raise ConfigError(
            f"{test_config} does not test what {search_config} retrains (search.retrain: "
            f"{', '.join(c.stem for c in configs) or 'none'}); give its step5_test config."
        )
    kinds = [*(("train", c) for c in configs), ("test", Path(test_config))]
    return [
        Step(config.stem, kind, config, ROOT, gpus=gpus).for_architecture(
            str(architecture), f"random_{i}"
        )
        for i, architecture in enumerate(drawn)
        for kind, config in kinds
    ]


def summarise(drawn: list[Architecture], files: list[Path]) -> dict[str, Any]:
    """Metrics by architecture; mean and standard deviation of those that all have."""
    runs = [json.loads(file.read_text()) for file in files]
    figures = [m for m in runs[0] if all(run.get(m) is not None for run in runs)]
    return {
        "runs": [{"architecture": str(a), **r} for a, r in zip(drawn, runs, strict=True)],
        "mean": {m: fmean(r[m] for r in runs) for m in figures},
        "deviation": {m: stdev(r[m] for r in runs) for m in figures},
    }


def main(args: argparse.Namespace) -> None:
    args.search_config = os.path.abspath(args.search_config)
    args.test_config = os.path.abspath(args.test_config)
    os.chdir(ROOT)
    drawn = draw(args.search_config, args.count, args.seed)
    steps = plan(args.search_config, args.test_config, drawn, args.num_gpus)
    run_steps(steps)
    tests = [s.folder / "evaluation.json" for s in steps if s.kind == "test"]
    summary = summarise(drawn, tests)
    path = tests[0].parents[1] / f"{Path(args.test_config).stem}_random_baseline.json"
    write_atomically(str(path), json.dumps(summary, indent=1) + "\n")
    for metric, mean in summary["mean"].items():
        print(f"{metric:24s}{mean:8.2f} ± {summary['deviation'][metric]:.2f}")
    print(f"figures: {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("search_config", metavar="SEARCH_CONFIG")
    parser.add_argument("test_config", metavar="TEST_CONFIG")
    parser.add_argument("--count", type=int, default=5, help="architectures (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--num-gpus", type=int, default=0)
    args = add_debug(parser).parse_args()
    if args.count < 2:
        parser.error("--count has to be at least 2: a deviation is wanted")
    run_script("random_baseline.py", lambda: main(args), debug=args.debug)
