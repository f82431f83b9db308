"""`python -m detnas_d2.predict` on what the real scripts leave behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import LazyConfig, instantiate

from detnas_d2 import predict
from detnas_d2.data import register_builtin_datasets
from detnas_d2.engine import DetNASCheckpointer

CATEGORIES = {1: "zero", 2: "one"}


@pytest.fixture(scope="module")
def trained(workspace, searched) -> Path:
    """The folder of a detector that the real script has trained, moved to elsewhere."""
    folder = "output/for_predict"
    status, output = workspace.call("train_net.py", "step4", f"train.output_dir={folder}")
    assert status == 0, output
    (workspace / "moved").mkdir()
    return Path(shutil.move(workspace / folder, workspace / "moved/detector"))


@pytest.fixture(scope="module")
def photographs(workspace) -> Path:
    """Images in a folder, one of them in a folder inside; a damaged one; what is no image."""
    folder = workspace / "photographs"
    (folder / "more").mkdir(parents=True)
    for i, name in enumerate(("a.png", "b.png", "more/a.png")):
        shutil.copy(workspace / f"datasets/digits/JPEGImages/val_0000{i}.png", folder / name)
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:400])
    (folder / "notes.txt").write_text("no image")
    return folder


def run(*arguments: object) -> str | None:
    """The command's message; None when it ended well."""
    try:
        predict.main([str(x) for x in arguments])
    except SystemExit as e:
        assert e.code
        return str(e.code)
    return None


def test_boxes_and_json_without_the_data(trained, photographs, tmp_path, monkeypatch, capsys):
    """Class names come with the weights; the detections are the model's own."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "nowhere"))
    register_builtin_datasets()
    cfg = LazyConfig.load(str(trained / "config.yaml"))
    cfg.model.backbone.bottom_up.architecture = torch.load(
        trained / "model_final.pth", weights_only=True
    )["detnas"]["architecture"]
    model = instantiate(cfg.model).eval()
    DetNASCheckpointer(model).load(str(trained / "model_final.pth"))
    files = [photographs / name for name in ("a.png", "b.png", "cut.png", "more/a.png")]
    expected_of = {}
    for file in files:
        if file.name != "cut.png":
            image = torch.as_tensor(cv2.imread(str(file)).transpose(2, 0, 1).copy())
            with torch.no_grad():
                expected_of[file] = model([{"image": image}])[0]["instances"]
    scores = torch.cat([found.scores for found in expected_of.values()])
    threshold = float(scores.median()) + 1e-6

    message = run(trained, photographs, "--output", tmp_path / "out", "--threshold", threshold)
    assert "1 of 4 images could not be read" in message and "cut.png" in message
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["a.png", "a_2.png", "b.png", "detections.json"]
    results = json.loads((tmp_path / "out/detections.json").read_text())
    count = 0
    for number, file in enumerate(files, 1):
        ours = [r for r in results if r["image_id"] == number]
        assert all(r["file_name"] == str(file) for r in ours)
        if file.name == "cut.png":
            assert not ours
            continue
        found = expected_of[file][expected_of[file].scores >= threshold]
        x0, y0, x1, y1 = found.pred_boxes.tensor.T
        expected = torch.stack([x0, y0, x1 - x0, y1 - y0], 1).numpy()
        np.testing.assert_allclose([r["bbox"] for r in ours], expected, atol=1e-4)
        np.testing.assert_allclose([r["score"] for r in ours], found.scores, atol=1e-6)
        assert [r["category_id"] - 1 for r in ours] == found.pred_classes.tolist()
        assert all(CATEGORIES[r["category_id"]] == r["category_name"] for r in ours)
        count += len(ours)
        drawn = cv2.imread(str(tmp_path / "out" / {4: "a_2.png"}.get(number, file.name)))
        assert drawn.shape == (128, 128, 3)  # small ones are drawn twice as large
        plain = cv2.resize(cv2.imread(str(file)), (128, 128))
        assert (np.abs(drawn.astype(int) - plain) > 60).any() == bool(ours)
    assert 0 < count < len(scores) and len(results) == count
    out = capsys.readouterr()
    assert f"3 images, {count} detections" in out.out
    assert "left out:" in out.err and "4/4" in out.err


def test_what_can_not_be_done_is_said_before(supernet, workspace, trained, photographs, tmp_path):
    out = tmp_path / "out"
    for folder, images, output, message in (
        (workspace / "output/step2", photographs, out, "is a supernet's"),
        (trained, trained, out, "has no images"),
        (trained, tmp_path / "*.jpg", out, "'photos/*.jpg'"),
        (trained, photographs, photographs, "a.png, which would be overwritten"),
    ):
        assert message in run(folder, images, "--output", output)
    assert not out.exists()


def test_what_is_there_is_read_again_or_kept(trained, photographs, tmp_path, capsys):
    """What was drawn before is no input the next time; what others wrote is not overwritten, seen
    before any work: the damaged weights are never read."""
    images, out = tmp_path / "images", tmp_path / "images/out"
    shutil.copytree(photographs, images, ignore=shutil.ignore_patterns("cut.png"))
    (tmp_path / "broken.pth").touch()
    out.mkdir()
    for name, content in (("a.png", "x"), ("detections.json", '[{"image_id": 1, "score": 0.5}]')):
        (out / name).write_text(content)
        message = run(trained, images, "--output", out, "--weights", tmp_path / "broken.pth")
        assert f"holds {name}, which would be overwritten" in message and "another" in message
        assert [p.read_text() for p in out.iterdir()] == [content]
        (out / name).unlink()
    (out / "notes.txt").write_text("mine")
    for threshold in (1, 0):  # the first leaves an empty list
        assert run(trained, images, "--output", out, "--threshold", threshold) is None
        assert len(list(out.glob("*.png"))) == 3
    assert (out / "notes.txt").read_text() == "mine"
    glob = (images / "[ab].png", images / "b.png")
    other = shutil.copy(trained / "model_final.pth", tmp_path / "other.pth")
    assert run(trained, *glob, "--output", tmp_path / "out", "--weights", other) is None
    assert f"read {other}" in capsys.readouterr().err
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("error", "end"), [(KeyboardInterrupt(), "130"), (MemoryError(), "predict: MemoryError")]
)
def test_the_folder_of_a_stopped_prediction_is_ours(
    trained, photographs, tmp_path, monkeypatch, error, end
):
    images = [photographs / "a.png", photographs / "b.png"]
    options = ("--output", tmp_path / "out", "--threshold", 0)
    write = predict.write_picture

    def stop(file, picture):
        if file.name == "b.png":
            raise error
        write(file, picture)

    monkeypatch.setattr(predict, "write_picture", stop)
    for ended, seen in ((end, {1}), ("None", {1, 2})):
        assert ended in str(run(trained, *images, *options))
        written = json.loads((tmp_path / "out/detections.json").read_text())
        assert {d["image_id"] for d in written} == seen
        monkeypatch.undo()
