"""Spaces of one's own (projects/DetNAS/own_space) from costs to a retrained network.

The modules lie in a folder beside the configs, as a user's do: the package does not know them.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torchvision.ops import SqueezeExcitation

from detnas_d2.modeling import StandAloneNetwork, Supernet, load_weights
from detnas_d2.modeling.check_blocks import check_space
from detnas_d2.space import Architecture, CostTable, SearchSpace
from detnas_d2.space_file import load_space
from detnas_d2.trust import TrustError

OWN = Path(__file__).resolve().parents[2] / "projects/DetNAS/own_space"
STEP2 = """from detectron2.config import LazyCall as L
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage
from mine_own.blocks import SkipChoice, SqueezeExciteShuffleChoice
from mine_own.mobilenet import InvertedResidualChoice
from .step2 import dataloader, lr_multiplier, model, optimizer, path_sampler, train

# one stage more than levels, which keeps its shape
stages = [(8, 1, 1), (12, 1, 2), (16, 2, 2), (20, 1, 2), (24, 2, 2)]
path_sampler.space = model.backbone.bottom_up.space = L(SearchSpace)(
    name="own",
    stem_channels=8,
    stages=[L(Stage)(channels=c, blocks=b, stride=s) for c, b, s in stages],
    choices=[
        L(ShuffleChoice)(kernel_size=3),
        L(SqueezeExciteShuffleChoice)(kernel_size=5),
        L(InvertedResidualChoice)(kernel_size=3, expansion=2),
        L(SkipChoice)(),
    ],
)
model.backbone.bottom_up.out_features = ["res3", "res4", "res5", "res6"]
train.init_checkpoint = ""
train.output_dir = "output/own"
"""
SKIP = 3
STEP3 = """from .step3 import search
from .own import dataloader, model, train
train.init_checkpoint = "output/own/model_final.pth"
train.output_dir = "output/own_search"
search.flops_limit = None
search.params_limit = 10_000_000
search.algorithm.population = 4
search.algorithm.generations = 2
search.algorithm.parents = 2
search.retrain = ["configs/tiny/own_step4.py"]
"""
STEP4 = """from .own import dataloader, lr_multiplier, model, optimizer, train
model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/own_search/best_architecture.json"
train.max_iter = 2
train.output_dir = "output/own_step4"
"""


@pytest.fixture(scope="module")
def own(workspace):
    """The workspace with a user's modules and configs in it."""
    shutil.copytree(OWN, workspace / "mine_own", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in {"own": STEP2, "own_step3": STEP3, "own_step4": STEP4}.items():
        (workspace / f"configs/tiny/{name}.py").write_text(text)
    return workspace


@pytest.fixture
def space(own, monkeypatch) -> SearchSpace:
    monkeypatch.chdir(own.folder)
    monkeypatch.syspath_prepend(own.folder)
    return load_space("configs/tiny/own.py")


def paths(space: SearchSpace, count: int) -> list[Architecture]:
    """Random ones, and those of least and of most multiply-adds."""
    flops = CostTable(space).flops
    rows = space.draw(np.random.default_rng(0), count)
    most = tuple(max(o, key=flops.table[i].__getitem__) for i, o in enumerate(space.options))
    drawn = [Architecture(space, tuple(row)) for row in rows.tolist()]
    return [flops.cheapest(), Architecture(space, most), *drawn]


def test_costs_and_paths(space):
    """Costs equal fvcore's, slices the supernet's paths; training moves the path and no more.

    Through momentum and weight decay too, and where blocks are skipped.
    """
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    check_space(space, (64, 64))
    table = CostTable(space, (64, 65))
    supernet = Supernet(space, out_features=space.stage_names)
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    images = torch.randn(2, 3, 64, 65)
    for architecture in (*paths(space, 2), *paths(space, 2)):
        before = {name: x.clone() for name, x in supernet.state_dict().items()}
        with supernet.train().use_path(architecture):
            off = {id(p) for p in supernet.inactive_parameters()}
            optimizer.zero_grad(set_to_none=True)
            sum(x.square().mean() for x in supernet(images).values()).backward()
            optimizer.step()
        expected = path_keys(space, architecture)
        for name, x in supernet.state_dict().items():
            assert torch.equal(x, before[name]) != name.startswith(expected), name
        for name, p in supernet.named_parameters():
            assert (id(p) in off) != name.startswith(expected), name

        network = StandAloneNetwork(space, architecture, out_features=space.stage_names).eval()
        assert "supernet" in load_weights(network, {"model": supernet.state_dict()})
        with torch.no_grad(), supernet.eval().use_path(architecture):
            wanted, found = supernet(images), network(images)
            counted = FlopCountAnalysis(network, images[:1]).by_operator()
        assert all(torch.equal(wanted[name], found[name]) for name in space.stage_names)
        assert counted["conv"] == table.flops(architecture)
        assert sum(p.numel() for p in network.parameters()) == table.params(architecture)


def path_keys(space: SearchSpace, architecture: Architecture) -> tuple[str, ...]:
    """Where the state dict has stem and path, from the documented names."""
    blocks = zip(space.blocks, architecture, strict=True)
    names = (f"{space.stage_names[b.stage]}.{b.index_in_stage}.{c}." for b, c in blocks)
    return ("stem.", *names)


def test_all_steps_with_the_real_scripts(own):
    def call(script: str, *arguments: str) -> str:
        status, output = own.call(script, *arguments)
        assert status == 0, output
        return output

    def candidates() -> list[dict]:
        return sorted(own.evaluations(folder), key=lambda record: record["architecture"])

    call("train_net.py", "own")
    call("search_net.py", "own_step3")
    folder = own / "output/own_search"
    whole, best = candidates(), (folder / "best_architecture.json").read_bytes()
    assert len(whole) == 8
    assert any(SKIP in record["architecture"] for record in whole)

    # stopped after three candidates and gone on with, on workers
    ledger = folder / "ledger.jsonl"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:4]))
    (folder / "best_architecture.json").unlink()
    output = call("search_net.py", "own_step3", "--resume", "search.executor.workers=2")
    assert candidates() == whole
    assert (folder / "best_architecture.json").read_bytes() == best
    assert "of at most 10,000,000 parameters" in output

    (page,) = folder.rglob("*.html")  # written by the search itself
    assert "skip" in page.read_text()
    page.unlink()
    status, output = own.run("detnas_d2.report", str(folder))  # needs no module of one's own
    assert status == 0 and page.exists(), output

    call("train_net.py", "own_step4")
    state = torch.load(own / "output/own_step4/model_final.pth", weights_only=True)
    assert state["detnas"]["architecture"] == json.loads(best)["architecture"]

    # as the commands that read an output folder do
    with pytest.raises(TrustError, match="'mine_own.*give --trust"):
        load_space(str(own / "output/own/config.yaml"))


def test_modules_that_are_not_found_are_explained(own):
    for module, advice in (
        ("not_there", f"found from the working directory, here {str(own.folder)!r}"),
        ("beside", "as in `from configs.tiny.beside import ...`"),
    ):
        (own / "configs/tiny/beside.py").write_text("")
        text = f"from {module} import SkipChoice\nspace = model = train = {{}}\n"
        (own / "configs/tiny/lost.py").write_text(text)
        status, _ = own.call("train_net.py", "lost")
        assert f"No module named '{module}'" in status and advice in status


def test_gate_is_squeeze_and_excitation(own, monkeypatch):
    """As torchvision has it."""
    monkeypatch.syspath_prepend(own.folder)
    from mine_own.blocks import SqueezeExcite

    gate, other = SqueezeExcite(8, 4), SqueezeExcitation(8, 2)
    for mine, theirs in ((gate.gate[1], other.fc1), (gate.gate[3], other.fc2)):
        theirs.load_state_dict(mine.state_dict())
    x = torch.randn(2, 8, 5, 3)
    torch.testing.assert_close(gate(x), other(x))
