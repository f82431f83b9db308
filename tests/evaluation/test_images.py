"""The images of a search: read once, in batches of one size, scored in the data set's order."""

from __future__ import annotations

import pickle
import warnings

import pytest
import tiny
import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from detectron2.evaluation import inference_on_dataset

from detnas_d2.data import DataError, build_test_loader
from detnas_d2.evaluation import evaluate_images
from detnas_d2.modeling import find_supernet


class Sizes(tiny.NoiseMapper):
    """Images of three sizes in turn."""

    def __call__(self, record):
        self.size = 24 + 4 * (record["image_id"] % 3)
        return super().__call__(record)


def mixed(cfg, count=8):
    cfg.dataloader.test = L(build_test_loader)(
        dataset=L(tiny.records)(names="val", count=count), mapper=L(Sizes)(augment=False)
    )
    return cfg


class Order(tiny.OutputSum):
    def reset(self):
        self.seen = []

    def process(self, inputs, outputs):
        assert len(inputs) == len(outputs) == 1
        self.seen.append((inputs[0]["image_id"], outputs[0]["scores"]))

    def evaluate(self):
        return {"seen": dict(self.seen)}


@pytest.mark.parametrize("batch_size", [1, 5])
def test_scores_are_those_of_one_image_a_batch(tmp_path, batch_size):
    cfg = mixed(tiny.classifier(tmp_path))
    cfg.search.fitness.batch_size = batch_size
    images = instantiate(cfg.search.fitness).load(cfg)
    for batch, positions in zip(images.validation, images.positions, strict=True):
        assert len({image["image"].shape for image in batch}) == 1
        assert len(batch) == len(positions) <= batch_size
        assert [image["image_id"] for image in batch] == [1000 + i for i in positions]
    assert len(images.calibration) == 3 and all(len(b) == 4 for b in images.calibration)
    torch.manual_seed(0)
    model = instantiate(cfg.model).eval()
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    plain, ours = Order("val"), Order("val")
    inference_on_dataset(model, instantiate(cfg.dataloader.test), plain)
    evaluate_images(model, images, ours, cfg.search.fitness.metric)
    assert [image for image, _ in ours.seen] == [image for image, _ in plain.seen]
    for (_, a), (_, b) in zip(ours.seen, plain.seen, strict=True):
        torch.testing.assert_close(a, b)


def test_by_pickle_the_pixels_are_not_copied(tmp_path):
    """As Ray hands them to the workers of a machine, which map one copy of it, read-only. On the
    disk, where the memory for them is small, they are the same."""
    cfg = mixed(tiny.classifier(tmp_path / "output"))
    images = instantiate(cfg.search.fitness).load(cfg)
    cfg.search.fitness.cache_memory = 1e-5  # 10 kB
    on_disk = instantiate(cfg.search.fitness).load(cfg)
    assert tiny.same(images.validation, on_disk.validation)
    assert tiny.same(images.calibration, on_disk.calibration)
    assert list((tmp_path / "output").iterdir()) == []
    first = images.validation[0][0]
    first["image"] = first["image"].transpose(1, 2)  # not contiguous
    buffers = []
    text = pickle.dumps(images, protocol=5, buffer_callback=buffers.append)
    pixels = sum(i["image"].nbytes for b in (*images.calibration, *images.validation) for i in b)
    assert len(text) < pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = pickle.loads(text, buffers=[memoryview(b).toreadonly() for b in buffers])
    assert tiny.same(theirs.validation, images.validation)
    assert tiny.same(theirs.calibration, images.calibration)
    assert theirs.positions == images.positions
    mine = images.validation[-1][0]["image"]
    assert theirs.validation[-1][0]["image"].data_ptr() == mine.data_ptr()


def test_an_empty_data_set():
    with pytest.raises(DataError, match="holds no image"):
        build_test_loader([], Sizes())
