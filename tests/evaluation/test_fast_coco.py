"""FastCOCOEvaluator against Detectron2's COCOEvaluator with pycocotools."""

from __future__ import annotations

import json
import logging
import math

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import load_coco_json
from detectron2.evaluation import COCOEvaluator
from detectron2.structures import Boxes, Instances

from detnas_d2.engine import ConfigError
from detnas_d2.evaluation import FastCOCOEvaluator
from detnas_d2.evaluation.fast_coco import RESULTS_FILE

IDS = (2, 5, 17)
CLASSES = ("plane", "ship", "tram")


@pytest.fixture
def register(tmp_path):
    """Register a data set by a JSON file, or what the caller says; forgotten after the test."""
    names = []

    def register(dataset=None, ids=IDS, **metadata):
        name = f"fast_coco_{len(names)}"
        names.append(name)
        if dataset:
            file = tmp_path / f"{name}.json"
            file.write_text(json.dumps(dataset))
            mapping = {category: i for i, category in enumerate(ids)}
            metadata = {"thing_classes": list(CLASSES[: len(ids)]), **metadata}
            metadata |= {"json_file": str(file), "thing_dataset_id_to_contiguous_id": mapping}
        MetadataCatalog.get(name).set(**metadata)
        return name

    yield register
    for name in names:
        MetadataCatalog.remove(name)
        if name in DatasetCatalog:
            DatasetCatalog.remove(name)


def instances(boxes, scores, classes, size=(480, 640)):
    found = Instances(size)
    found.pred_boxes = Boxes(torch.as_tensor(np.asarray(boxes), dtype=torch.float32).reshape(-1, 4))
    found.scores = torch.as_tensor(np.asarray(scores), dtype=torch.float32)
    found.pred_classes = torch.as_tensor(np.asarray(classes, dtype=np.int64))
    return found


def jittered(rng, annotations):
    """Zero to three detections of each box (x, y, w, h), some of another class, and false ones.

    Half of the time scores and corners are so coarse that many are equal.
    """
    coarse = rng.random() < 0.5
    boxes, labels = [], []
    for box, label in annotations:
        for _ in range(rng.integers(4)):
            x, y, w, h = box
            corners = np.array([x, y, x + w, y + h])
            boxes.append(corners + rng.normal(0, rng.choice([0, 0.02, 0.1, 0.3]), 4) * max(w, h))
            labels.append(label if rng.random() < 0.8 else rng.integers(len(CLASSES)))
    for _ in range(rng.integers(600 if rng.random() < 0.1 else 5)):
        corner = rng.uniform(0, 400, 2)
        boxes.append(np.concatenate([corner, corner + np.exp(rng.uniform(0, 5.5, 2))]))
        labels.append(rng.integers(len(CLASSES)))
    boxes = np.reshape(boxes, (-1, 4))
    scores = rng.integers(1, 5, len(boxes)) / 4 if coarse else rng.random(len(boxes))
    order = rng.permutation(len(boxes))
    boxes = np.round(boxes) if coarse else boxes
    return instances(boxes[order], scores[order], np.array(labels, dtype=np.int64)[order])


def random_dataset(rng, image_ids):
    """Crowds, images and classes without boxes, ids in no order; areas as of masks."""
    annotations = []
    classes = rng.choice(IDS, rng.integers(1, len(IDS) + 1), replace=False)
    for image in image_ids:
        for _ in range(rng.integers(12) * (rng.random() < 0.7)):
            w, h = np.exp(rng.uniform(0, 5.5, 2)).round(1)
            annotations.append(
                {
                    "id": len(annotations) + 7,
                    "image_id": image,
                    "category_id": int(rng.choice(classes)),
                    "bbox": [*rng.uniform(0, 300, 2).round(1), w, h],
                    "area": w * h * rng.uniform(0.4, 1),
                    "iscrowd": int(rng.random() < 0.2),
                }
            )
    return {
        "images": [{"id": i, "width": 640, "height": 480, "file_name": "x"} for i in image_ids],
        "annotations": [annotations[i] for i in rng.permutation(len(annotations))],
        "categories": [{"id": i, "name": n} for i, n in zip(IDS, CLASSES, strict=True)],
        "info": {},
    }


def case(seed, image_ids=(1, 2, 3)):
    """A data set, and inputs and outputs of a model on it."""
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng, image_ids)
    boxes = {image["id"]: [] for image in dataset["images"]}
    for a in dataset["annotations"]:
        boxes[a["image_id"]].append((a["bbox"], IDS.index(a["category_id"])))
    outputs = [{"instances": jittered(rng, found)} for found in boxes.values()]
    return dataset, [{"image_id": i} for i in boxes], outputs


def evaluate(evaluator, inputs, outputs):
    evaluator.reset()
    for i in range(0, len(inputs), 3):
        evaluator.process(inputs[i : i + 3], outputs[i : i + 3])
    return evaluator.evaluate()


def reference(name, inputs, outputs, **options):
    return evaluate(COCOEvaluator(name, use_fast_impl=False, **options), inputs, outputs)


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for task, metrics in expected.items():
        assert list(found[task]) == list(metrics)
        assert found[task] == pytest.approx(metrics, abs=1e-9, nan_ok=True)
        assert all(type(value) is float for value in found[task].values())


def with_other_ids(dataset, inputs, outputs):
    names = {image["id"]: f"image {image['id']}" for image in dataset["images"]}
    for x in (*dataset["annotations"], *inputs):
        x["image_id"] = names[x["image_id"]]
    for image in dataset["images"]:
        image["id"] = names[image["id"]]


def of_one_class(dataset, inputs, outputs):
    """Which has no figure of its own."""
    for a in dataset["annotations"]:
        a["category_id"] = IDS[0]
    del dataset["categories"][1:]
    for x in outputs:
        x["instances"].pred_classes[:] = 0


@pytest.mark.parametrize("change", [None, with_other_ids, of_one_class])
@pytest.mark.parametrize("seed", range(4))
def test_random_data_sets(register, seed, change):
    image_ids = np.random.default_rng(seed).choice(1000, 2 + 2 * seed, replace=False).tolist()
    dataset, inputs, outputs = case(seed, image_ids)
    if change:
        change(dataset, inputs, outputs)
    name = register(dataset, IDS[: len(dataset["categories"])])
    found = evaluate(FastCOCOEvaluator(name), inputs, outputs)
    expected = reference(name, inputs, outputs)
    assert_equal(found, expected)
    assert ("AP-plane" in found["bbox"]) == (change is not of_one_class)


def test_the_file_is_read_once_and_the_results_are_written_as_coco_does(register, tmp_path):
    dataset, inputs, outputs = case(0, [30, 10, 20, 2, 1, 7])
    name = register(dataset)
    expected = reference(name, inputs, outputs, output_dir=str(tmp_path / "theirs"))
    evaluator = FastCOCOEvaluator(name, output_dir=str(tmp_path / "ours"))
    for file in tmp_path.glob("*.json"):
        file.unlink()
    for _ in range(2):
        assert_equal(evaluate(evaluator, inputs, outputs), expected)
    (ours,), (theirs,) = (list(tmp_path.glob(f"{d}/*.json")) for d in ("ours", "theirs"))
    assert ours.name == theirs.name == RESULTS_FILE
    results = json.loads(ours.read_text())
    assert results == json.loads(theirs.read_text()) and len(results) > 5


def test_a_data_set_in_detectron2s_own_form(register, tmp_path):
    dataset, inputs, outputs = case(1, [9, 8, 7])
    source = register(dataset)
    records = load_coco_json(MetadataCatalog.get(source).json_file, "", source)
    name = register(thing_classes=list(CLASSES))
    DatasetCatalog.register(name, lambda: records)
    found = evaluate(FastCOCOEvaluator(name), inputs, outputs)
    assert not hasattr(MetadataCatalog.get(name), "json_file")
    assert found["bbox"]["AP"] > 10
    assert_equal(found, reference(name, inputs, outputs, output_dir=str(tmp_path)))


def test_classes_that_a_loader_has_not_set_yet(register):
    """Detectron2's loader of a JSON file sets the classes' ids, which another process may call."""
    dataset, inputs, outputs = case(2)
    complete = register(dataset)
    metadata = MetadataCatalog.get(complete)
    name = register(json_file=metadata.json_file, thing_classes=list(CLASSES))
    ids = metadata.thing_dataset_id_to_contiguous_id

    def load():
        MetadataCatalog.get(name).set(thing_dataset_id_to_contiguous_id=ids)
        return []

    DatasetCatalog.register(name, load)
    expected = reference(complete, inputs, outputs)
    assert_equal(evaluate(FastCOCOEvaluator(name), inputs, outputs), expected)


@pytest.mark.parametrize("fault", ["no output", "no instances", "no annotations"])
def test_nothing_to_evaluate(register, tmp_path, fault):
    """Results are written where there are some."""
    dataset, inputs, outputs = case(0, [1, 2])
    if fault == "no annotations":
        del dataset["annotations"]
    else:
        inputs = inputs if fault == "no instances" else []
        outputs = [{"sem_seg": 0}] * len(inputs)
    name = register(dataset)
    found = evaluate(FastCOCOEvaluator(name, output_dir=str(tmp_path)), inputs, outputs)
    assert found == reference(name, inputs, outputs) == {}
    results = tmp_path / RESULTS_FILE
    written = json.loads(results.read_text()) if results.exists() else []
    assert len(written) == sum(len(x.get("instances", ())) for x in outputs)
    assert results.exists() == (fault == "no annotations") == bool(written)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_detected_is_an_ap_of_0(register, tmp_path, caplog, seed):
    """As pycocotools has it for a detection that hits nothing; Detectron2 gives NaN for none."""
    caplog.set_level(logging.WARNING)
    dataset = random_dataset(np.random.default_rng(seed), [4, 1, 2])
    name = register(dataset)
    inputs = [{"image_id": i} for i in (4, 1, 2)]
    outputs = [{"instances": instances([], [], [])} for _ in inputs]
    found = evaluate(FastCOCOEvaluator(name, output_dir=str(tmp_path)), inputs, outputs)
    assert all(map(math.isnan, reference(name, inputs, outputs)["bbox"].values()))
    miss = {"instances": instances([[700, 500, 701, 501]], [0.5], [0])}
    assert_equal(found, reference(name, inputs, [miss, *outputs[1:]]))
    wanted = {a["category_id"] for a in dataset["annotations"] if not a["iscrowd"]}
    classes = {f"AP-{c}": 0.0 for i, c in zip(IDS, CLASSES, strict=True) if i in wanted}
    assert {k: v for k, v in found["bbox"].items() if k[:3] == "AP-" and v == 0} == classes
    assert (found["bbox"]["AP"] == 0) == bool(wanted)
    assert "No object was detected." in caplog.text
    assert (tmp_path / RESULTS_FILE).read_text() == "[]"


def test_masks_proposals_and_ids_of_0(register):
    """The former are left aside; an annotation of id 0 counts, which pycocotools takes for none."""
    dataset, inputs, outputs = case(0)
    expected = reference(register(dataset), inputs, outputs)
    for i, a in enumerate(dataset["annotations"]):
        a["id"] = i
    for x in outputs:
        x["instances"].pred_masks = torch.zeros(len(x["instances"]), 4, 4, dtype=torch.bool)
        x["proposals"] = None
    assert_equal(evaluate(FastCOCOEvaluator(register(dataset)), inputs, outputs), expected)


def test_errors_say_what_to_do(register):
    dataset = random_dataset(np.random.default_rng(0), [1, 2])
    name = register(dataset)
    one = instances([[0, 0, 9, 9]], [0.5], [1])
    with pytest.raises(ConfigError, match="Image 3 is not in the data set.*dataset.names"):
        evaluate(FastCOCOEvaluator(name), [{"image_id": 3}], [{"instances": one}])
    with pytest.raises(ConfigError, match="class 3, but .* 3 classes 0 to 2.*num_classes to 3"):
        wrong = instances([[0, 0, 9, 9]], [0.5], [3])
        evaluate(FastCOCOEvaluator(name), [{"image_id": 1}], [{"instances": wrong}])
    for box, score in (([0, 0, float("nan"), 9], 0.5), ([0, 0, 9, 9], float("nan"))):
        with pytest.raises(FloatingPointError, match="1 of 2 detections have NaN"):
            broken = instances([[0, 0, 9, 9], box], [0.4, score], [1, 1])
            evaluate(FastCOCOEvaluator(name), [{"image_id": 1}], [{"instances": broken}])
    two_names = register(dataset, thing_classes=["plane", "ship"])
    with pytest.raises(ConfigError, match="name 2 classes .* have 3 categories"):
        evaluate(FastCOCOEvaluator(two_names), [{"image_id": 1}], [{"instances": one}])
