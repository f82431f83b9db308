"""ImageNet's folder form, its part for the search, the mapper and its augmentations."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from detnas_d2.data import (
    ClassificationMapper,
    DataError,
    MissingDatasetError,
    RandomResizedCrop,
    imagenet_test_augmentations,
    load_image_folder,
    missing_datasets,
    seeded,
)
from detnas_d2.data.records import ImageRecords

CLASSES = ("n01440764", "n01443537", "n02102040")


@pytest.fixture
def root(tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        for c, name in enumerate(CLASSES):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in reversed(range(count)):
                pixels = np.full((40 + i, 60, 3), 80 * c + i, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}_{i}.JPEG")
            (folder / "readme.txt").touch()
            (folder / ".hidden.png").touch()
    return tmp_path


def test_listing_is_sorted_and_numbered_by_class(root):
    """A sequence of dicts; file names may be of any bytes."""
    folder = os.fsencode(root / "val" / CLASSES[0])
    names = {
        os.path.join(folder, name) for name in (b"\x99.png", "\u03bb \u732b.JPG".encode(), b"a.tif")
    }
    for name in names:
        open(name, "wb").close()
    found = {os.fsencode(r["file_name"]) for r in load_image_folder(root, "val")}
    assert names < found and all(map(os.path.isfile, found))

    records = load_image_folder(root, "train")
    assert [r["category_id"] for r in records] == [0] * 4 + [1] * 4 + [2] * 4
    assert records[5] == {
        "file_name": str(root / "train" / "n01443537" / "n01443537_1.JPEG"),
        "category_id": 1,
        "image_id": "train/n01443537/n01443537_1.JPEG",
    }
    assert records[-1] == records[11] and records[2:4] == [records[2], records[3]]
    with pytest.raises(IndexError):
        records[12]
    records[0]["category_id"] = 9  # of a dict that is nobody else's
    assert records[0]["category_id"] == 0


def test_missing_and_damaged_folders(root, tmp_path):
    with pytest.raises(MissingDatasetError, match=r"nowhere/train\..*train/<class>/\*\.JPEG"):
        load_image_folder(tmp_path / "nowhere", "train")
    (root / "empty" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no class folders"):
        load_image_folder(root / "empty", "train")
    (root / "val" / CLASSES[0]).rename(root / "val" / "n0")
    with pytest.raises(DataError, match=r"lacks n01440764 and has besides n0\."):
        load_image_folder(root, "val")
    for path in (root / "train" / CLASSES[1]).glob("*.JPEG"):
        path.unlink()
    with pytest.raises(DataError, match="n01443537 holds no image"):
        load_image_folder(root, "train")


def test_a_large_folder_takes_little_memory(tmp_path):
    """A path and a label: 40 bytes each."""
    names = [[f"train/{c}/{c}_{i:06}.JPEG" for i in range(40_000)] for c in CLASSES]
    tracemalloc.start()
    try:
        records = ImageRecords(tmp_path, names)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records) == 120_000
    assert records[80_001]["image_id"] == f"train/{CLASSES[2]}/{CLASSES[2]}_000001.JPEG"
    assert size < 45 * len(records)


def test_imagenet_less_what_the_search_is_scored_on(tmp_path, datasets):
    """One in 25 images of each class; 1 of a class with fewer. Test images are in neither part."""
    for split in ("train", "val"):
        for name, count in zip(CLASSES, (50, 26, 3), strict=True):
            (tmp_path / "imagenet" / split / name).mkdir(parents=True)
            for i in range(count):
                (tmp_path / "imagenet" / split / name / f"{name}_{i}.JPEG").touch()
    datasets(tmp_path)
    names = ["imagenet_detnas_supernet", "imagenet_detnas_search"]
    assert missing_datasets(names) == []
    supernet, search = (list(DatasetCatalog.get(name)) for name in names)
    everything = DatasetCatalog.get("imagenet_train")
    assert sorted(supernet + search, key=lambda r: r["file_name"]) == list(everything)
    # drawn from each class anew, and the same in every version, for results to be comparable
    numbers = [r["image_id"].partition("_")[2] for r in search]
    assert numbers == ["26.JPEG", "27.JPEG", "23.JPEG", "8.JPEG", "0.JPEG"]
    assert [r["category_id"] for r in search] == [0, 0, 1, 1, 2]
    for name in names:
        assert MetadataCatalog.get(name).evaluator_type == "classification"
        assert MetadataCatalog.get(name).thing_classes == list(CLASSES)
    (tmp_path / "imagenet" / "train").rename(tmp_path / "imagenet" / "training")
    with pytest.raises(MissingDatasetError, match=r"imagenet_detnas_search.*imagenet/train\n"):
        DatasetCatalog.get("imagenet_detnas_search")


def test_the_mapper_reads_bgr_bytes(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(30, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    record = {"file_name": str(tmp_path / "a.png"), "category_id": 4, "image_id": "a"}
    mapped = ClassificationMapper(False, augmentations=[])(record)
    assert mapped["image"].dtype == torch.uint8
    assert np.array_equal(mapped["image"].numpy(), pixels[:, :, ::-1].transpose(2, 0, 1))
    assert (mapped["category_id"], mapped["image_id"]) == (4, "a")
    assert "image" not in record
    own = imagenet_test_augmentations(16, 30)  # the shorter edge is 30 already
    assert torch.equal(
        ClassificationMapper(False, augmentations=own)(record)["image"],
        mapped["image"][:, 7:23, 17:33],  # the middle
    )
    with pytest.raises(DataError, match="no category_id"):
        ClassificationMapper(True, augmentations=[])({"file_name": record["file_name"]})


def test_random_resized_crops_keep_to_their_ranges():
    """And are a function of the global generators, which the loader seeds."""
    image = np.zeros((300, 400, 3), dtype=np.uint8)
    drawn = []
    for seed in (*range(200), 0):
        with seeded(seed):
            crop, resize = RandomResizedCrop(8).get_transform(image).transforms
        assert 0 <= crop.x0 <= 400 - crop.w and 0 <= crop.y0 <= 300 - crop.h
        assert resize.apply_image(crop.apply_image(image)).shape == (8, 8, 3)
        drawn.append((crop.x0, crop.y0, crop.w, crop.h))
    assert drawn[0] == drawn[-1] and len(set(drawn)) > 190
    _, _, w, h = np.transpose(drawn)
    assert 0.079 < min(w * h) / (400 * 300) < 0.15 and 0.8 < max(w * h) / (400 * 300) <= 1
    assert 0.74 < min(w / h) < 0.82 and 1.22 < max(w / h) < 1.35
