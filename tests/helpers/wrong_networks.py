"""Wrong checkpoints, architectures, settings of a search, and ledgers."""

from __future__ import annotations

import torch
from wrong_inputs import Prepare, Wrong, at, begun, both, copy, edit, write

NEW = "train.output_dir=output/new"
STEP4, STEP3 = f"train_net.py @step4 {NEW}", f"search_net.py @step3 {NEW}"
TEST = f"train_net.py @step4 --eval-only {NEW}"
W = "train.init_checkpoint=w.pth"
SUPERNET = "output/step2/model_final.pth"
A = "model.backbone.bottom_up.architecture="
TABLE = "search.latency_limit=3 search.latency_table="
RESUME = "search_net.py @step3 --resume train.output_dir=output/n"
step4, search = at(STEP4), at(STEP3)


def saved(content: object) -> Prepare:
    return lambda folder: torch.save(content, folder / "w.pth")


def changed(change) -> Prepare:
    return both(copy(SUPERNET, "w.pth"), edit("w.pth", change))


def ledger(change) -> Prepare:
    return both(copy("output/step3", "output/n"), edit("output/n/ledger.jsonl", change))


CHECKPOINTS = [
    step4(
        "train.init_checkpoint=output/step9/model_final.pth",
        "'output/step9/model_final.pth' does not exist … the step before",
    ),
    step4(
        "train.init_checkpoint=output/step2",
        "'output/step2' is a folder … name the file in it, model_final.pth",
    ),
    step4(W, "'w.pth' is empty … the step before", write("w.pth", b"")),
    step4(
        "train.init_checkpoint=output/step3/best_architecture.json",
        "best_architecture.json' is another kind of file … model_final.pth",
    ),
    step4(
        W,
        "'w.pth' is another kind of file … version https://git-lfs … copy it anew",
        write("w.pth", "version https://git-lfs.github.com/spec/v1\n"),
    ),
    step4(W, "'w.pth' is truncated … copy it anew", changed(lambda b: b[: len(b) // 2])),
    begun(
        f"{STEP4} {W}",
        "'w.pth' could not be loaded",
        changed(lambda b: b[:100] + bytes(2000) + b[2100:]),
    ),
    begun(
        f"train_net.py @of_other_space {NEW}",
        "of the supernet of space 'tiny' … of space 'other' … Give both the same space",
    ),
    begun(
        f"{TEST} train.init_checkpoint=output/step1/model_final.pth",
        "lacks … of the model's heads … Give the model_final.pth",
    ),
    begun(f"{TEST} train.init_checkpoint={SUPERNET}", "is a supernet's … config of step 4"),
    begun(
        f"train_net.py @step1 {NEW} train.init_checkpoint={SUPERNET}",
        "the model is a classifier … take a classification checkpoint",
    ),
    begun(
        f"train_net.py @step1 {NEW} train.init_checkpoint=output/step1/model_final.pth "
        "model.num_classes=3",
        "(2, 16) in the checkpoint, (3, 16) in the model … train.init_backbone_only=True",
    ),
    search("train.init_checkpoint=''", "lacks train.init_checkpoint"),
    begun(
        f"{STEP4} {W}",
        "holds 0 DetNAS backbones … its keys: a",
        saved({"model": {"a": torch.zeros(3)}}),
    ),
    begun(
        f"{STEP4} {W}", "runs code of whoever wrote it … python -c", saved(torch.nn.Linear(2, 2))
    ),
    begun(
        f"{STEP4} train.init_checkpoint=http://127.0.0.1:9/x.pth",
        "http://127.0.0.1:9/x.pth … Connection refused … Check the address",
    ),
    begun(
        f"train_net.py @step2 {NEW} train.init_checkpoint={SUPERNET} "
        "model.backbone.out_channels=12",
        "the heads do not fit … fpn_lateral2.weight: (8, 12, 1, 1) … init_backbone_only",
    ),
]
ARCHITECTURES = [
    step4(f"{A}[0,1,2]", "space 'tiny' … got 3 choices, expected 5"),
    step4(f"{A}[0,1,2,0,9]", "block 5 of 5 … choice 9; expected one of those … 2: xception"),
    step4(f"{A}best", "no file 'best' … give the choices as"),
    step4(
        f"{A}output/step3/best_architectur.json",
        "no file 'output/step3/best_architectur.json' … the path of a best_architecture.json",
    ),
    step4(f"{A}a.json", "can't read 'a.json' (no JSON", write("a.json", '{"sp')),
    step4(
        f"{A}a.json",
        'a.json … no key "architecture" among its keys (space)',
        write("a.json", '{"space": "tiny"}'),
    ),
    step4(
        f"{A}a.json",
        "a.json … of space '300m' … take the space that it was searched in",
        write("a.json", '{"space": "300m", "architecture": [0, 1, 2, 0, 1]}'),
    ),
    step4(f"{A}output/step3", "can't read 'output/step3' (Is a directory)"),
]
SEARCHES = [
    search("search.algorithm.population=1", "population is 1; expected … from 2"),
    search("search.algorithm.parents=60", "parents is 60; expected … from 1 to 6"),
    search(
        "+search.algorithm.generation=1",
        "search.algorithm.generation … takes no 'generation' … generations",
    ),
    search(
        "search.algorithm._target_=detnas_d2.search.Nothing",
        "'detnas_d2.search.Nothing' can't be imported … mend its name",
    ),
    search("search.flops_limit=0", "search.flops_limit is 0 … above 0"),
    search("search.flops_limit=300M", "search.flops_limit=300M … int"),
    search(
        "search.flops_limit=300",
        "at most 300 multiply-adds … the smallest has 403,328 … Raise the limit to 403,328",
    ),
    search("search.params_limit=10", "10 parameters … limit to 4,114"),
    search(
        "search.latency_limit=3",
        "needs search.latency_table … python -m detnas_d2.evaluation.latency",
    ),
    search(f"{TABLE}no.json", "'no.json' can't be read … make it anew"),
    search(f"{TABLE}a.json", "'block_ms' … anew", write("a.json", "{}")),
    search(
        "search.fitness.metric=bbox/AP05",
        "search.fitness.metric is 'bbox/AP05' … Did you mean … 'bbox/AP50'",
    ),
    search(
        "search.fitness.metric=bbox/APl",
        "search.fitness.metric is 'bbox/APl' … no object that counts for it … bbox/AP50",
    ),
    search(
        "search.fitness.calibration_batches=0", "search.fitness.calibration_batches is 0 … from 1"
    ),
    search(
        "search.fitness.channels_last=auto",
        "search.fitness.channels_last is 'auto' … True or False, or null",
    ),
    search("search.input_size=[0,0]", "is [0, 0] … [height, width]"),
    search("search.initial=[[0,1]]", "got 2 choices, expected 5"),
    search(
        "search.initial=[[2,2,2,2,2]] search.flops_limit=410000",
        "over the search's limit: architecture 2,2,2,2,2 … Raise the limit",
    ),
    search(
        "search.initial_ledger=no.jsonl",
        "can't read 'no.jsonl' … Give the ledger.jsonl of another search",
    ),
    search(
        "search.retrain=[configs/tiny/stpe4.py]",
        "'configs/tiny/stpe4.py' does not exist … configs/tiny/step4.py",
    ),
    search(
        "dataloader.evaluator.dataset_name=digits_test",
        "dataset_name is 'digits_test' … 'digits_val' … set dataloader.test.dataset.names",
    ),
    search(
        "search.executor.workers=1 search.executor.address=auto train.device=gpu",
        "train.device is 'gpu'; expected cpu, cuda",
    ),
    begun(
        f"{STEP3} search.executor.workers=1 search.executor.address=127.0.0.1:9",
        "'127.0.0.1:9' can't be reached … ray status",
    ),
]
LEDGERS = [
    Wrong("search_net.py @step3", "holds a search already … Pass --resume"),
    Wrong(
        "search_net.py @step3 --resume search.seed=5",
        "belongs to another search … seed: 0 in the ledger, 5 now … Restore these",
    ),
    Wrong(
        RESUME,
        "output/n/ledger.jsonl, line 6 is damaged … sed -i 6d output/n/ledger.jsonl",
        ledger(lambda b: b"\n".join(x[:40] if i == 5 else x for i, x in enumerate(b.split(b"\n")))),
    ),
    Wrong(
        RESUME,
        "output/n/ledger.jsonl, line 1 is not the header … Restore the file",
        ledger(lambda b: b.partition(b"\n")[2]),
    ),
    begun(
        RESUME,
        "Is a directory: 'output/n/ledger.jsonl' … Check that path",
        write("output/n/ledger.jsonl/x", ""),
    ),
]
CASES = [*CHECKPOINTS, *ARCHITECTURES, *SEARCHES, *LEDGERS]
