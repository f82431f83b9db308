"""What search_net.py ends with: detections of the best, and the report."""

from __future__ import annotations

import json

import pytest
from detectron2.config import instantiate

from detnas_d2.data import register_builtin_datasets
from detnas_d2.driver import write_detections
from detnas_d2.engine import DetNASCheckpointer, LazyTrainer, load_config
from detnas_d2.evaluation import SupernetFitness
from detnas_d2.space import Architecture


@pytest.fixture
def in_workspace(workspace, monkeypatch):
    """As the scripts run there."""
    monkeypatch.chdir(workspace.folder)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(workspace / "datasets"))
    register_builtin_datasets()
    yield
    monkeypatch.undo()
    register_builtin_datasets()


def best_of(folder):
    return json.loads((folder / "best_architecture.json").read_text())["architecture"]


def test_the_report_and_where_it_lies(searched):
    folder, output = searched
    page = folder / "report" / "index.html"
    assert f"The report, for a browser: {page}" in output
    html = page.read_text()
    assert "Finished: 18 of 18 candidates." in html
    best = ",".join(
        map(str, json.loads((folder / "best_architecture.json").read_text())["architecture"])
    )
    command = (
        "python train_net.py --config-file configs/tiny/step4.py "
        f"model.backbone.bottom_up.architecture={best}"
    )
    assert command in html
    assert html.count('alt="Training step') >= 2
    assert "with the" in html and "boxes of its annotation" in html


def test_detections_are_those_of_the_fitness(searched, in_workspace):
    """Against what the network gives while SupernetFitness scores it, as the search did."""
    folder, _ = searched
    content = json.loads((folder / "detections.json").read_text())
    cfg = load_config("configs/tiny/step3.py")
    model = LazyTrainer.build_model(cfg)
    DetNASCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[])
    fitness = instantiate(cfg.search.fitness)
    images = fitness.load(cfg)
    found = {}

    def note(model, inputs, outputs):
        if not model.training:
            found.update(zip((i["file_name"] for i in inputs[0]), outputs, strict=True))

    model.register_forward_hook(note)
    architecture = Architecture.parse(content, model.backbone.bottom_up.space)
    fitness.build(cfg, model, images)(architecture)
    assert content["architecture"] == best_of(folder)
    assert content["classes"] == ["zero", "one"] and len(content["images"]) == 4
    by_name = {name.rpartition("/")[2]: out["instances"] for name, out in found.items()}
    for image in content["images"]:
        instances = by_name[image["file"].rpartition("/")[2]]
        expected = [
            ([x, y, x2 - x, y2 - y], c, s)
            for (x, y, x2, y2), c, s in zip(
                instances.pred_boxes.tensor.tolist(),
                instances.pred_classes.tolist(),
                instances.scores.tolist(),
                strict=True,
            )
            if s >= content["least_score"]
        ]
        assert len(expected) == len(image["detections"])
        for (box, category, score), got in zip(expected, image["detections"], strict=True):
            assert got["bbox"] == pytest.approx(box, abs=0.1)
            assert (got["class"], got["score"]) == (category, pytest.approx(score, abs=1e-3))


def test_a_failure_is_a_warning(workspace, supernet, monkeypatch):
    """The search ends well, and its files are there."""
    import detnas_d2.driver
    import detnas_d2.report

    def fail(*arguments):
        raise RuntimeError("no memory")

    monkeypatch.setattr(detnas_d2.driver, "write_detections", fail)
    monkeypatch.setattr(detnas_d2.report, "write_report", fail)
    status, output = workspace.call(
        "search_net.py",
        "step3",
        "train.output_dir=output/no_report",
        "search.algorithm.generations=1",
    )
    assert status == 0, output
    assert "goes without detections" in output and "No report was written" in output
    folder = workspace / "output/no_report"
    assert (folder / "best_architecture.json").is_file()
    assert not (folder / "report").exists() and not (folder / "detections.json").exists()


def test_a_classification_set_has_no_boxes(workspace, in_workspace):
    cfg = load_config("configs/tiny/step3.py", ["train.output_dir=output/no_boxes"])
    cls = load_config("configs/tiny/step1.py")
    cfg.dataloader.test.dataset = cls.dataloader.test.dataset
    assert write_detections(cfg, SupernetFitness("bbox/AP"), None, None, None) is None
    assert not (workspace / "output/no_boxes").exists()
