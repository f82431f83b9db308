"""What each machine runs, by the name that settings.py gives it: change a row, or add one.

The learning rate follows the batch: lr_at_16 * batch / 16. A training has `epochs` times the training
images by `batch` iterations, at least `least` and at most `most`; twice as many without a supernet's
weights to start from (as the paper's DetNAS-S), half as many where the network found is fine-tuned.
"""

_gpu = dict(
    gpus=1,  # train_net.py --num-gpus
    detector="fpn",  # of configs/common/models
    channels=256,  # of FPN and box head
    space="300m",  # where no weights say otherwise
    norm="SyncBN",
    short_edge=800,  # pixels; smaller images are not enlarged
    batch=16,  # images an iteration, of all GPUs together
    optimizer="detection",  # of configs/common/optim.py
    lr_at_16=0.02,
    epochs=12,
    least=5_000,
    most=90_000,
    num_workers=4,
    population=50,
    generations=20,
    parents=10,
    calibration_images=500,  # for the norms' statistics of a candidate
)

machines = {
    # a small space and a narrow detector
    "cpu": dict(
        gpus=0,
        detector="fpn_small",
        channels=32,
        space="demo",
        norm="naiveSyncBN",  # SyncBN runs on GPUs only
        short_edge=240,
        batch=4,
        optimizer="adamw",
        lr_at_16=0.012,
        epochs=8,
        least=350,
        most=10_000,
        num_workers=0,
        population=12,
        generations=3,
        parents=4,
        calibration_images=32,
    ),
    # one GPU sees the whole batch: nothing to synchronise
    "1gpu": {**_gpu, "norm": "BN", "short_edge": 640, "batch": 8, "population": 24, "parents": 6},
    "2gpu": {**_gpu, "gpus": 2},
    "4gpu": {**_gpu, "gpus": 4},
    "8gpu": {**_gpu, "gpus": 8},
}

# what a candidate may cost by space: multiply-adds of its backbone at 224x224 pixels
flops_limits = {"demo": 41e6, "300m": 300e6, "300m-halves": 300e6, "1.3g": 1.3e9, "3.8g": 4.0e9}
