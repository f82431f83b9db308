"""Wrong overrides, config files, devices, processes and output folders."""

from __future__ import annotations

from wrong_inputs import Wrong, both, copy, write

NEW = "train.output_dir=output/new"
STEP2 = f"train_net.py @step2 {NEW}"
C = "train_net.py --config-file c.py"
CLASSES = "model.roi_heads.num_classes"
GPUS = f"@step2 {NEW}"
MAY_NOT = "The run cannot start"

OVERRIDES = [
    Wrong("typo", f"{STEP2} train.max_itr=3", ("no key 'train.max_itr'", "'train.max_iter'")),
    Wrong("typo in a group", f"{STEP2} trian.seed=3", ("no key 'trian.seed'", "'train.seed'")),
    Wrong(
        "typo of a search's",
        f"search_net.py @step3 {NEW} search.flop_limit=3",
        ("no key 'search.flop_limit'", "Did you mean 'search.flops_limit'", "+search.flop_limit"),
    ),
    Wrong("text", f"{STEP2} train.max_iter=many", ("type int (now 8)", "'many' of type str")),
    Wrong("part of one", f"{STEP2} train.max_iter=2.5", ("train.max_iter=2.5", "type int", "2.5")),
    Wrong("no bool", f"{STEP2} train.amp.enabled=maybe", ("type bool (now False)", "'maybe'")),
    Wrong("list for a number", f"{STEP2} optimizer.lr=[1,2]", ("type float", "[1, 2]")),
    Wrong("value for a group", f"{STEP2} optimizer=SGD", ("is a group", "lr, weight_decay")),
    Wrong("null", f"{STEP2} train.max_iter=null", ("lacks train.max_iter", "configs/common")),
    Wrong("no equals sign", f"{STEP2} train.max_iter 3", ("has no '='", "train.max_iter=100")),
    Wrong("yacs", f"{STEP2} SOLVER.MAX_ITER 3", ("'SOLVER.MAX_ITER' has no '='",)),
    Wrong(
        "bracket", f"{STEP2} train.output_dir=out(1", ("'train.output_dir=out(1'", "need quotes")
    ),
    Wrong("option at the end", f"{STEP2} --num-gpus 2", ("'--num-gpus'", "before the overrides")),
    Wrong("several values", f"{STEP2} train.seed=1,2,x", ("several values", "[a,b]")),
    Wrong("no value", f"{STEP2} train.max_iter=", ("'train.max_iter='", "type int")),
    Wrong(
        "no interpolation",
        f"{STEP2} train.max_iter=${{nowhere.key}}",
        ("${nowhere.key}", "type int"),
    ),
    Wrong("no iterations", f"{STEP2} train.max_iter=0", (MAY_NOT, "train.max_iter is 0", "from 1")),
    Wrong("fewer than none", f"{STEP2} train.max_iter=-5", ("train.max_iter is -5", "from 1")),
    Wrong("lr NaN", f"{STEP2} optimizer.lr=nan", ("optimizer.lr is nan", "finite number above 0")),
    Wrong("lr negative", f"{STEP2} optimizer.lr=-0.1", ("optimizer.lr is -0.1", "above 0")),
    Wrong("lr infinite", f"{STEP2} optimizer.lr=inf", ("optimizer.lr is inf", "finite")),
    Wrong(
        "lr huge",
        f"{STEP2} optimizer.lr=1e30",
        ("diverged at iteration", "smaller optimizer.lr"),
        begun=True,
    ),
    Wrong(
        "no images",
        f"{STEP2} dataloader.train.total_batch_size=0",
        ("dataloader.train.total_batch_size is 0", "from 1"),
    ),
    Wrong(
        "null images",
        f"{STEP2} dataloader.train.total_batch_size=null",
        ("total_batch_size is None", "from 1"),
    ),
    Wrong(
        "less than no worker",
        f"{STEP2} dataloader.train.num_workers=-1",
        ("dataloader.train.num_workers is -1", "from 0"),
    ),
    Wrong("seed", f"{STEP2} train.seed=-1", ("train.seed is -1", "from 0")),
    Wrong("log period", f"{STEP2} train.log_period=0", ("train.log_period is 0", "from 1")),
    Wrong(
        "checkpoint period",
        f"{STEP2} train.checkpointer.period=0",
        ("train.checkpointer.period is 0", "from 1"),
    ),
    Wrong(
        "checkpoints kept",
        f"{STEP2} train.checkpointer.max_to_keep=-1",
        ("train.checkpointer.max_to_keep is -1", "or null"),
    ),
    Wrong(
        "unknown data set",
        f"{STEP2} dataloader.train.dataset.names=digit_train",
        ("No data set is registered as 'digit_train'", "Did you mean 'digits_train'"),
    ),
    Wrong(
        "absent data set",
        f"{STEP2} dataloader.train.dataset.names=coco_2017_train",
        ("coco/train2017", "There has to lie", "set DETECTRON2_DATASETS"),
    ),
    Wrong(
        "fewer classes",
        f"{STEP2} {CLASSES}=1",
        (f"{CLASSES} is 1", "'digits_train' has 2 classes (zero, one)", f"set {CLASSES}=2"),
        begun=True,
    ),
    Wrong("no classes", f"{STEP2} {CLASSES}=0", (f"{CLASSES} is 0", "from 1")),
    Wrong(
        "unknown target",
        f"{STEP2} model._target_=nowhere.Model",
        ("model._target_", "'nowhere.Model' can't be imported", "mend its name"),
    ),
    Wrong(
        "unknown argument",
        f"{STEP2} +model.roi_heads.num_clases=3",
        ("model.roi_heads.num_clases", "takes no 'num_clases'", "num_classes"),
    ),
    Wrong(
        "image format",
        f"{STEP2} dataloader.train.mapper.image_format=XYZ",
        ("JPEGImages/train_", "image has wrong mode"),
        begun=True,
    ),
]
CONFIGS = [
    Wrong(
        "no such file",
        "train_net.py --config-file configs/tiny/stpe2.py",
        ("'configs/tiny/stpe2.py' does not exist", "Did you mean 'configs/tiny/step2.py'"),
    ),
    Wrong("a folder", "train_net.py --config-file configs/tiny", ("'configs/tiny'", "step2.py")),
    Wrong(
        "yaml",
        "train_net.py --config-file c.yaml",
        ("lacks model", "Start from one in configs/"),
        write("c.yaml", "MODEL:\n  WEIGHTS: x\n"),
    ),
    Wrong("json", "train_net.py --config-file c.json", ("c.json", "python"), write("c.json", "{}")),
    Wrong(
        "bracket left open",
        C,
        ("c.py", "SyntaxError", "never closed", "line 1"),
        write("c.py", "a = dict(\n"),
    ),
    Wrong("import", C, ("c.py", "No module named 'nowhere'"), write("c.py", "import nowhere\n")),
    Wrong("relative", C, ("c.py", "nofile.py"), write("c.py", "from .nofile import model\n")),
    Wrong(
        "name of another",
        "train_net.py --config-file configs/tiny/c.py",
        ("configs/tiny/c.py", "'modle'", "line 1"),
        write("configs/tiny/c.py", "from .step2 import modle\n"),
    ),
    Wrong("name", C, ("name 'b' is not defined", "line 2"), write("c.py", "a = 1\nc = b\n")),
    Wrong("its code", C, ("ZeroDivisionError", "line 3"), write("c.py", "\n\nx = 1 / 0\n")),
    Wrong("its files", C, ("'/nowhere/x'", "line 1"), write("c.py", "open('/nowhere/x')\n")),
    Wrong("bytes", C, ("c.py", "UnicodeDecodeError"), write("c.py", b"\x00\xff\x00")),
    Wrong("empty", C, ("lacks model, optimizer", "train", "Start from one"), write("c.py", "")),
    Wrong(
        "search's to train",
        f"train_net.py @step3 {NEW}",
        ("lacks optimizer", "not a config of a training"),
    ),
    Wrong(
        "training's to search",
        f"search_net.py @step2 {NEW}",
        ("lacks search", "not a config of a search"),
    ),
    Wrong(
        "supernet to test",
        f"train_net.py @step2 --eval-only {NEW} train.init_checkpoint=output/step2/model_final.pth",
        ("supernet has no metric", "take a config of step 4"),
        begun=True,
    ),
    Wrong(
        "supernet without paths",
        f"{STEP2} path_sampler=null",
        ("no 'path_sampler'", "configs/common/paths.py"),
        begun=True,
    ),
]
MACHINE = [
    Wrong("no GPU", f"{STEP2} train.device=cuda", ("PyTorch sees no GPU", "train.device=cpu")),
    Wrong("8 GPUs", f"train_net.py --num-gpus 8 {GPUS} train.device=cuda", ("no GPU here", "cpu")),
    Wrong("third GPU", f"search_net.py @step3 {NEW} train.device=cuda:3", ("no GPU", "cpu")),
    Wrong("tpu", f"{STEP2} train.device=tpu", ("train.device is 'tpu'", "expected cpu, cuda")),
    Wrong("amp", f"{STEP2} train.amp.enabled=True", ("needs a GPU", "train.amp.enabled=False")),
    Wrong("batch", f"train_net.py --num-gpus 3 {GPUS}", ("total_batch_size is 2", "3 processes")),
    Wrong(
        "less than none", f"train_net.py --num-gpus -1 {GPUS}", ("--num-gpus is -1", "0 or more")
    ),
    Wrong("no number", f"train_net.py --num-gpus two {GPUS}", ("--num-gpus", "'two'")),
    Wrong("no machines", f"train_net.py --num-machines 0 {GPUS}", ("--num-machines is 0", "1 or")),
    Wrong(
        "rank",
        f"train_net.py --num-machines 2 --machine-rank 2 {GPUS}",
        ("--machine-rank is 2", "expected 0 to 1"),
    ),
    Wrong(
        "url without protocol",
        f"train_net.py --num-gpus 2 --dist-url localhost:3000 {GPUS}",
        ("'localhost:3000'", "expected tcp://HOST:PORT"),
    ),
    Wrong(
        "url without port",
        f"train_net.py --num-gpus 2 --dist-url tcp://127.0.0.1 {GPUS}",
        ("'tcp://127.0.0.1'", "expected tcp://HOST:PORT"),
    ),
    Wrong(
        "url of the web",
        f"train_net.py --num-gpus 2 --dist-url http://127.0.0.1:3000 {GPUS}",
        ("'http://127.0.0.1:3000'", "expected tcp://"),
    ),
    Wrong(
        "auto on two machines",
        f"train_net.py --num-machines 2 --dist-url auto {GPUS}",
        ("auto is for one machine", "tcp://HOST:PORT"),
    ),
    Wrong(
        "output is a file",
        "train_net.py @step2 train.output_dir=configs/tiny/step2.py",
        ("'configs/tiny/step2.py' can't be made or written to", "set another"),
    ),
    Wrong(
        "output below a file",
        "search_net.py @step3 train.output_dir=configs/tiny/step2.py/x",
        ("'configs/tiny/step2.py/x' can't be made or written to", "set another"),
    ),
    Wrong(
        "output in proc", "train_net.py @step2 train.output_dir=/proc/x", ("'/proc/x'", "another")
    ),
    Wrong("no output", "train_net.py @step2 train.output_dir=''", ("lacks train.output_dir",)),
    Wrong(
        "trained already",
        "train_net.py @step2",
        ("'output/step2' holds a training already", "--resume", "another train.output_dir"),
    ),
    Wrong(
        "resumed with other classes",
        f"train_net.py @step2 --resume {CLASSES}=3 train.max_iter=9",
        ("the heads do not fit", "(3, 16) in the checkpoint, (4, 16) in the model"),
        begun=True,
    ),
    Wrong(
        "resumed with another optimizer",
        "train_net.py @step2 --resume optimizer._target_=torch.optim.SGD train.max_iter=9",
        ("by another optimizer than SGD", "Go on with the former one"),
        begun=True,
    ),
    Wrong(
        "resumed in another space",
        "train_net.py @of_other_space --resume train.output_dir=output/step2",
        ("space 'tiny'", "space 'other'", "give both the same space"),
        begun=True,
    ),
    Wrong(
        "checkpoint gone",
        "train_net.py @step2 --resume train.output_dir=output/n",
        ("output/n/model_0000003.pth' does not exist", "last_checkpoint", "earlier"),
        write("output/n/last_checkpoint", "model_0000003.pth"),
        begun=True,
    ),
    Wrong(
        "checkpoint damaged",
        "train_net.py @step2 --resume train.output_dir=output/n",
        ("output/n/model_final.pth' could not be loaded", "last_checkpoint", "earlier, whole one"),
        both(copy("output/step2", "output/n"), write("output/n/model_final.pth", b"PK\x03\x04")),
        begun=True,
    ),
]
CASES = [*OVERRIDES, *CONFIGS, *MACHINE]
