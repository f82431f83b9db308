"""Settings of a training, as Detectron2's own configs/common/train.py, with a seed."""

train = dict(
    output_dir=None,  # output/coco/step2_x of configs/coco/step2_x.py
    init_checkpoint="",  # weights to start from
    init_backbone_only=False,  # of them the backbone's, not the heads': another data set's detector
    init_path_only=False,  # into a supernet: one network's, which fill its path
    max_iter=90000,
    seed=0,  # with the iteration, all that a step depends on
    amp=dict(enabled=False),
    checkpointer=dict(period=5000, max_to_keep=2),
    eval_period=0,  # besides after the last iteration
    log_period=20,
    device="cuda",
)
