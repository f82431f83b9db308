"""Images packed into a few arrays come out as they went in."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from detnas_d2.driver import shared_images
from detnas_d2.driver.shared_images import pack_images, unpack_images
from detnas_d2.evaluation import SearchImages


def image(number, shape, dtype=torch.uint8):
    pixels = torch.arange(np.prod(shape)).reshape(shape).add(number).to(dtype)
    instances = Instances(shape[1:], gt_boxes=Boxes(torch.full((2, 4), float(number))))
    return {"image": pixels, "image_id": number, "instances": instances}


@pytest.fixture
def images():
    calibration = [[image(0, (3, 5, 7)), image(1, (3, 20, 30))], [image(2, (3, 4, 4))]]
    turned = image(5, (3, 6, 9))
    turned["image"] = turned["image"].transpose(1, 2)  # not contiguous
    validation = [[image(3, (3, 5, 5), torch.float32)], [image(4, (3, 1, 1)), turned]]
    return SearchImages(calibration, validation, [(1,), (0, 2)])


@pytest.mark.parametrize("chunk", [1, 300, 1000, 2**26])
def test_round_trip(images, monkeypatch, chunk):
    monkeypatch.setattr(shared_images, "CHUNK", chunk)
    packed, chunks = pack_images(images)
    arrays = list(chunks)
    assert len(arrays) == {1: 6, 300: 5, 1000: 3, 2**26: 1}[chunk]
    for array in arrays:
        array.flags.writeable = False  # as Ray's are
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unpacked = unpack_images(packed, arrays)
    for name in ("calibration", "validation"):
        for old, new in zip(getattr(images, name), getattr(unpacked, name), strict=True):
            for a, b in zip(old, new, strict=True):
                assert torch.equal(a["image"], b["image"]) and a["image"].dtype == b["image"].dtype
                assert list(a) == list(b) and a["image_id"] == b["image_id"]
                assert a["instances"] is b["instances"]
                ends = [(x.ctypes.data, x.ctypes.data + x.nbytes) for x in arrays]
                assert any(low <= b["image"].data_ptr() < high for low, high in ends)  # no copy
    assert unpacked.positions == images.positions


def test_packing_leaves_the_images_as_they_are(images):
    before = images.calibration[0][1]["image"].clone()
    packed, _ = pack_images(images)
    assert torch.equal(images.calibration[0][1]["image"], before)
    assert not any(torch.is_tensor(i["image"]) for b in packed.calibration for i in b)
