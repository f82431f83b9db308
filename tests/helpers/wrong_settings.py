"""Wrong overrides, config files, devices, processes and output folders."""

from __future__ import annotations

from wrong_inputs import Wrong, at, begun, both, copy, write

NEW = "train.output_dir=output/new"
STEP2 = f"train_net.py @step2 {NEW}"
train = at(STEP2)
C = "train_net.py --config-file c.py"
CLASSES = "model.roi_heads.num_classes"
GPUS = f"@step2 {NEW}"
MAY_NOT = "The run cannot start"

OVERRIDES = [
    train("train.max_itr=3", "no key 'train.max_itr' … 'train.max_iter'"),
    train("+train.float32_precision=higest", "is 'higest'; expected highest, high or medium"),
    Wrong(
        f"search_net.py @step3 {NEW} search.flop_limit=3",
        "no key 'search.flop_limit' … 'search.flops_limit' … docs/config.md has all keys",
    ),
    train("train.max_iter=many", "type int (now 8) … 'many' of type str"),
    train("train.max_iter=2.5", "train.max_iter=2.5 … type int … 2.5"),
    train("train.amp.enabled=maybe", "type bool (now False) … 'maybe'"),
    train("optimizer.lr=[1,2]", "type float … [1, 2]"),
    train("optimizer=SGD", "is a group … lr, weight_decay"),
    train("train.max_iter=null", "lacks train.max_iter … configs/common"),
    train("train.max_iter 3", "has no '=' … train.max_iter=100"),
    train("train.output_dir=out(1", "'train.output_dir=out(1' … need quotes"),
    train("--num-gpus 2", "'--num-gpus' … before the overrides"),
    train("train.seed=1,2,x", "several values … [a,b]"),
    train("train.max_iter=", "'train.max_iter=' … type int"),
    train("train.max_iter=${nowhere.key}", "${nowhere.key} … type int"),
    train("train.max_iter=0", f"{MAY_NOT} … train.max_iter is 0 … from 1"),
    train("optimizer.lr=nan", "optimizer.lr is nan … finite number above 0"),
    begun(f"{STEP2} optimizer.lr=1e30", "diverged at iteration … smaller optimizer.lr"),
    train("dataloader.train.total_batch_size=null", "total_batch_size is None … from 1"),
    train("train.seed=-1", "train.seed is -1 … from 0"),
    train("train.checkpointer.max_to_keep=-1", "train.checkpointer.max_to_keep is -1 … or null"),
    train(
        "dataloader.train.dataset.names=digit_train",
        "No data set is registered as 'digit_train' … Did you mean 'digits_train'",
    ),
    train(
        "dataloader.train.dataset.names=coco_2017_train",
        "coco/train2017 … There has to lie … set DETECTRON2_DATASETS",
    ),
    begun(
        f"{STEP2} {CLASSES}=1",
        f"{CLASSES} is 1 … 'digits_train' has 2 classes (zero, one) … set {CLASSES}=2",
    ),
    train(f"{CLASSES}=0", f"{CLASSES} is 0 … from 1"),
    train(
        "model._target_=nowhere.Model",
        "model._target_ … 'nowhere.Model' can't be imported … mend its name",
    ),
    train(
        "+model.roi_heads.num_clases=3",
        "model.roi_heads.num_clases … takes no 'num_clases' … num_classes",
    ),
    begun(
        f"{STEP2} dataloader.train.mapper.image_format=XYZ",
        "JPEGImages/train_ … image has wrong mode",
    ),
]
CONFIGS = [
    Wrong(
        "train_net.py --config-file configs/tiny/stpe2.py",
        "'configs/tiny/stpe2.py' does not exist … Did you mean 'configs/tiny/step2.py'",
    ),
    Wrong("train_net.py --config-file configs/tiny", "'configs/tiny' … mean 'configs/tiny/"),
    Wrong(
        "train_net.py --config-file c.yaml",
        "lacks model … Start from one in configs/",
        write("c.yaml", "MODEL:\n  WEIGHTS: x\n"),
    ),
    Wrong("train_net.py --config-file c.json", "c.json … python", write("c.json", "{}")),
    Wrong(C, "c.py … SyntaxError … never closed … line 1", write("c.py", "a = dict(\n")),
    Wrong(C, "c.py … No module named 'nowhere'", write("c.py", "import nowhere\n")),
    Wrong(C, "c.py … nofile.py", write("c.py", "from .nofile import model\n")),
    Wrong(
        "train_net.py --config-file configs/tiny/c.py",
        "configs/tiny/c.py … 'modle' … line 1",
        write("configs/tiny/c.py", "from .step2 import modle\n"),
    ),
    Wrong(C, "name 'b' is not defined … line 2", write("c.py", "a = 1\nc = b\n")),
    Wrong(C, "ZeroDivisionError … line 3", write("c.py", "\n\nx = 1 / 0\n")),
    Wrong(C, "'/nowhere/x' … line 1", write("c.py", "open('/nowhere/x')\n")),
    Wrong(C, "c.py … UnicodeDecodeError", write("c.py", b"\x00\xff\x00")),
    Wrong(C, "lacks model, optimizer … train … Start from one", write("c.py", "")),
    Wrong(f"train_net.py @step3 {NEW}", "lacks optimizer … not a config of a training"),
    Wrong(f"search_net.py @step2 {NEW}", "lacks search … not a config of a search"),
    begun(
        f"train_net.py @step2 --eval-only {NEW} train.init_checkpoint=output/step2/model_final.pth",
        "model is a supernet's … config of step 4",
    ),
    begun(f"{STEP2} path_sampler=null", "no 'path_sampler' … configs/common/paths.py"),
]
MACHINE = [
    train("train.device=cuda", "PyTorch sees no GPU … train.device=cpu"),
    Wrong(f"train_net.py --num-gpus 8 {GPUS} train.device=cuda", "no GPU here … cpu"),
    Wrong(f"search_net.py @step3 {NEW} train.device=cuda:3", "no GPU … cpu"),
    train("train.device=tpu", "train.device is 'tpu' … expected cpu, cuda"),
    train("train.amp.enabled=True", "needs a GPU … train.amp.enabled=False"),
    Wrong(f"train_net.py --num-gpus 3 {GPUS}", "total_batch_size is 2 … 3 processes"),
    Wrong(f"train_net.py --num-gpus -1 {GPUS}", "--num-gpus is -1 … 0 or more"),
    Wrong(f"train_net.py --num-gpus two {GPUS}", "--num-gpus … 'two'"),
    Wrong(f"train_net.py --num-machines 0 {GPUS}", "--num-machines is 0 … 1 or"),
    Wrong(
        f"train_net.py --num-machines 2 --machine-rank 2 {GPUS}",
        "--machine-rank is 2 … expected 0 to 1",
    ),
    Wrong(
        f"train_net.py --num-gpus 2 --dist-url localhost:3000 {GPUS}",
        "'localhost:3000' … expected tcp://HOST:PORT",
    ),
    Wrong(
        f"train_net.py --num-machines 2 --dist-url auto {GPUS}",
        "auto is for one machine … tcp://HOST:PORT",
    ),
    Wrong(
        "train_net.py @step2 train.output_dir=configs/tiny/step2.py",
        "'configs/tiny/step2.py' can't be made or written to … set another",
    ),
    Wrong("train_net.py @step2 train.output_dir=/proc/x", "'/proc/x' … another"),
    Wrong("train_net.py @step2 train.output_dir=''", "lacks train.output_dir"),
    Wrong(
        "train_net.py @step2",
        "'output/step2' holds a training already … --resume … another train.output_dir",
    ),
    begun(
        f"train_net.py @step2 --resume {CLASSES}=3 train.max_iter=9",
        "the heads do not fit … (3, 16) in the checkpoint, (4, 16) in the model",
    ),
    begun(
        "train_net.py @step2 --resume optimizer._target_=torch.optim.SGD train.max_iter=9",
        "by another optimizer than SGD … Go on with the former one",
    ),
    begun(
        "train_net.py @of_other_space --resume train.output_dir=output/step2",
        "space 'tiny' … space 'other' … Give both the same space",
    ),
    begun(
        "train_net.py @step2 --resume train.output_dir=output/n",
        "output/n/model_0000003.pth' does not exist … last_checkpoint … earlier",
        write("output/n/last_checkpoint", "model_0000003.pth"),
    ),
    begun(
        "train_net.py @step2 --resume train.output_dir=output/n",
        "output/n/model_final.pth' could not be loaded … last_checkpoint … earlier, whole one",
        both(copy("output/step2", "output/n"), write("output/n/model_final.pth", b"PK\x03\x04")),
    ),
]
CASES = [*OVERRIDES, *CONFIGS, *MACHINE]
