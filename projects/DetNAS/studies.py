"""What reproduce.py runs: the studies, their networks and steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from detnas_d2.files import write_json
from detnas_d2.space import CostTable, FlopsRangePathSampler, SearchSpace
from detnas_d2.steps import Step

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (0, 1, 2)  # of each retraining
RANDOM = 5  # architectures, one seed each
SPREAD = 5  # architectures, one out of each fifth of the range of multiply-adds


@dataclass(frozen=True)
class Network:
    """An architecture to be trained alone: where it stands, with which seeds."""

    row: str
    name: str
    architecture: str
    seeds: tuple[int, ...]
    ranked: bool = False  # its fitness is compared; not of those that were found by it


@dataclass(frozen=True)
class Study:
    """One column of the table; its name is that of its data and its detector."""

    name: str
    title: str
    folder: str  # of its configs and of what they write
    ranks: bool = False

    @property
    def data(self) -> str:
        return self.name.split("_")[0]

    @property
    def detector(self) -> str:
        return self.name.split("_")[1]

    @property
    def output(self) -> str:
        return f"output/{self.folder}"

    @cached_property
    def space(self) -> SearchSpace:
        return self.step("step1_supernet", "train").space

    def step(self, name: str, kind: str, *overrides: str) -> Step:
        """The step of a config; the test of what one trains is called step5_test."""
        called = name.replace("step4_detection", "step5_test") if kind == "test" else name
        config = ROOT / "configs" / self.folder / f"{name}.py"
        return Step(f"{self.folder}/{called}", kind, config, ROOT, overrides)

    def networks(self) -> list[Network]:
        """The rows of the table, and the architectures whose rank is compared."""
        best = f"{self.output}/step3_search_{{}}/best_architecture.json"
        scratch = best.format(f"scratch_{self.detector}")
        drawn = f"{self.output}/architectures/{{}}_{{}}.json"
        plain = ",".join(["0"] * self.space.num_blocks)
        rows = [
            Network("DetNAS-P", f"detnas_p_{self.detector}", best.format(self.detector), SEEDS),
            *(
                Network("Random", f"random_{i}", drawn.format("random", i), (0,), self.ranks)
                for i in range(RANDOM)
            ),
            Network("DetNAS-S", f"detnas_s_{self.detector}", scratch, SEEDS),
            Network("ClsNASNet", "clsnas", best.format("classification"), SEEDS, self.ranks),
            Network("ShuffleNetV2, all 3x3", "shufflenetv2", plain, SEEDS, self.ranks),
        ]
        spread = [
            Network("", f"spread_{i}", drawn.format("spread", i), (0,), True)
            for i in range(SPREAD if self.ranks else 0)
        ]
        return [*rows, *spread]

    def draw_architectures(self) -> None:
        """Write the random architectures and those spread over the range of multiply-adds."""
        search = self.step(f"step3_search_{self.detector}", "search")
        space, size = self.space, search.cfg.search.input_size
        cost = CostTable(space, size)
        ends = pairwise(np.linspace(cost.flops.minimum, cost.flops.maximum, SPREAD + 1))
        drawn = {
            "random": search.draw(RANDOM, 1),
            "spread": [FlopsRangePathSampler(space, 0, *range_, size)(0) for range_ in ends],
        }
        for kind, architectures in drawn.items():
            for i, architecture in enumerate(architectures):
                file = ROOT / self.output / "architectures" / f"{kind}_{i}.json"
                write_json(file, architecture.to_json())

    def steps(self) -> Iterator[Step]:
        """All steps; those that studies share have the same name and config."""
        d = self.detector
        yield self.step("step1_supernet", "train")
        yield self.step(f"step2_supernet_{d}", "train")
        yield self.step(f"step3_search_{d}", "search")
        yield self.step("step3_search_classification", "search")
        yield from self.from_scratch()
        ranked = [n.architecture for n in self.networks() if n.ranked]
        if ranked:
            quoted = ",".join(f"'{architecture}'" for architecture in ranked)
            given = f"search.algorithm.architectures=[{quoted}]"
            yield self.step(f"step3_score_{d}", "search", given)
        for network in self.networks():
            for seed in network.seeds:
                yield from self.retraining(network, seed)

    def from_scratch(self) -> Iterator[Step]:
        """Supernet and search without step 1, with the iterations doubled."""
        d = self.detector
        iterations = self.step(f"step2_supernet_{d}", "train").cfg.train.max_iter
        weights = f"{self.output}/step2_supernet_scratch_{d}/model_final.pth"
        doubled = ("train.init_checkpoint=''", f"train.max_iter={2 * iterations}")
        for name, kind, more in (
            ("step2_supernet", "train", doubled),
            ("step3_search", "search", (f"train.init_checkpoint={weights}",)),
        ):
            scratch = f"{name}_scratch_{d}"
            folder = f"train.output_dir={self.output}/{scratch}"
            step = self.step(f"{name}_{d}", kind, folder, *more)
            yield replace(step, name=f"{self.folder}/{scratch}")

    def retraining(self, network: Network, seed: int) -> Iterator[Step]:
        """Classification, detection and test of a network alone."""
        detection = f"step4_detection_{self.detector}"
        kinds = [("step4_classification", "train"), (detection, "train"), (detection, "test")]
        suffix = f"{network.name}_seed{seed}"
        for name, kind in kinds:
            more = [f"train.seed={seed}"]
            if (name, kind) == (detection, "train"):  # detectors share the classification
                weights = f"{self.output}/step4_classification_{suffix}/model_final.pth"
                more.append(f"train.init_checkpoint={weights}")
            yield self.step(name, kind).for_architecture(network.architecture, suffix, *more)


STUDIES = [
    Study("digits_fpn", "handwriting, FPN", "digits", ranks=True),
    Study("digits_retinanet", "handwriting, RetinaNet", "digits"),
    Study("bccd_fpn", "BCCD, FPN", "bccd_small"),
]
