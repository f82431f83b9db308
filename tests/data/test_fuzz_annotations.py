"""Mutated COCO files: a DetNASError, or dicts that training reads."""

from __future__ import annotations

import contextlib
import copy
import json
import logging

import numpy as np
import pytest
from detectron2.data import DatasetMapper, MetadataCatalog
from detectron2.data import transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detnas_d2.data import DataError, ImageReadError
from detnas_d2.data.check.judge import own_parts, read_clean
from detnas_d2.data.coco import _load
from detnas_d2.data.loader import SeededMapDataset
from detnas_d2.errors import DetNASError
from detnas_d2.evaluation import FastCOCOEvaluator

COCO = {
    "images": [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 12} for i in (1, 2)],
    "annotations": [
        {"id": i, "image_id": 1 + i % 2, "category_id": 1 + i % 2, "bbox": [1, 2, 5, 6], "area": 30}
        for i in range(3)
    ],
    "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
}
scalars = st.none() | st.booleans() | st.integers(-3, 20) | st.integers() | st.floats() | st.text()
values = scalars | st.lists(scalars, max_size=5) | st.dictionaries(st.text(max_size=3), scalars)
down = st.booleans()
mapper = DatasetMapper(is_train=True, augmentations=[T.Resize((8, 8))], image_format="BGR")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    for i in (1, 2):
        Image.new("RGB", (16, 12)).save(folder / f"{i}.png")
    logging.disable(logging.WARNING)
    yield folder
    logging.disable(logging.NOTSET)


def is_read(folder, content) -> bool:
    """What was read is fit to be trained on."""
    path = folder / "train.json"
    path.write_text(json.dumps(content))
    with contextlib.suppress(DataError):
        own_parts(*read_clean([path], [folder]))  # nor has that another error
    try:
        records = _load(path, folder, "fuzz")
        MetadataCatalog.get("fuzz").json_file = str(path)
        truth = FastCOCOEvaluator("fuzz", distributed=False)._truth
        assert truth is None or np.isfinite([a["area"] for a in truth.dataset["annotations"]]).all()
    except DetNASError:
        return False
    finally:
        if "fuzz" in MetadataCatalog.list():
            MetadataCatalog.remove("fuzz")
    for record in records:
        for annotation in record["annotations"]:
            assert annotation["category_id"] in (0, 1)
        try:
            mapped = SeededMapDataset([record], mapper, 0)[0, 0]
        except ImageReadError as error:  # of another size than the file says
            assert record["file_name"] in str(error)
            continue
        assert mapped["image"].shape == (3, 8, 8)
        sides = mapped["instances"].gt_boxes.tensor
        assert sides.isfinite().all() and (sides[:, 2:] >= sides[:, :2]).all()
    return True


@settings(max_examples=100, derandomize=True, deadline=None)
@given(data=st.data())
def test_other_values(folder, data):
    content = copy.deepcopy(COCO)
    for _ in range(data.draw(st.integers(0, 3))):
        node, place = None, content
        while place and isinstance(place, (dict, list)) and (node is None or data.draw(down)):
            node = place
            key = data.draw(
                st.sampled_from(list(node) if isinstance(node, dict) else range(len(node)))
            )
            place = node[key]
        if node is not None and data.draw(st.integers(0, 3)):
            node[key] = data.draw(values)
        elif node is not None:
            del node[key]
    assert is_read(folder, content) or json.dumps(content) != json.dumps(COCO)  # True is no 1
