"""Export of a trained network to a file, checked against the network before it is there."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from detectron2.data import DatasetCatalog

from ..data import DataError, missing_datasets
from ..engine.machines import check_device
from ..files import TEMPORARY
from .comparing import TOLERANCE, Comparison, compare
from .errors import ExportError
from .features import backbone_of
from .formats import check_onnx, read_onnx, read_torchscript, write_onnx, write_torchscript
from .graphs import Graph, graph_of
from .trained import Trained

FORMATS = ("torchscript", "onnx", "state_dict")
PARTS = ("backbone", "detector")
_SIZES = ((160, 160), (97, 131), (192, 130))  # of images that are made up


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        comparison: None of a state dict.
        made_up: compared on noise, not on photographs.
    """

    path: Path
    description: dict[str, Any]
    comparison: Comparison | None
    made_up: bool = False


def export(
    trained: Trained,
    format: str,
    output: str | Path,
    *,
    part: str = "detector",
    images: Sequence[str | Path] = (),
    device: str = "cpu",
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write a trained network to a file that is there only if it computes what the network does.

    Args:
        trained: from `load_trained`.
        format: one of FORMATS.
        output: the file; one that is there is never overwritten.
        part: one of PARTS.
        images: photographs to compare on; left out: the first of its test set, or noise.
        device: where a TorchScript detector will run, for tracing keeps the device in it.
        tolerance: of a value v the file may differ by ``tolerance * max(1, |v|)``.

    Raises:
        ExportError: another format or part, a network that can't be exported so, a file that
            computes something else, or `output` is there.
        ConfigError: a device that PyTorch does not know or see.
        OSError: a file that can't be written.
    """
    for what, value, known in (("format", format, FORMATS), ("part", part, PARTS)):
        if value not in known:
            raise ExportError(f"{what} is {value!r}; expected one of {', '.join(known)}.")
    output = Path(output)
    if output.is_dir():
        raise ExportError(f"{output} is a folder; expected a file, such as {output}/{part}.pt")
    if output.exists():
        is_source = trained.weights.exists() and output.samefile(trained.weights)
        raise ExportError(
            f"{output} is the checkpoint that is exported; choose another name."
            if is_source
            else f"{output} is there already; choose another name, or remove that file first."
        )
    check_device(device)
    is_onnx = format == "onnx"
    if is_onnx:
        check_onnx(device)
    description = {"part": part, **trained.describe()}
    comparison, made_up = None, False
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.name + TEMPORARY)
    try:
        if format == "state_dict":
            _write_state(trained, part, temporary)
        else:
            graph = graph_of(trained.model.to(device), part, ties_in_order=is_onnx)
            description["outputs"] = list(graph.outputs)
            inputs, made_up = _inputs(trained, graph, images)
            inputs = [x.to(device) for x in inputs]
            (write_onnx if is_onnx else write_torchscript)(graph, inputs[0], temporary, description)
            run = read_onnx(temporary) if is_onnx else read_torchscript(temporary, device)
            comparison = compare(graph, run, inputs, tolerance)
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    return Exported(output, description, comparison, made_up)


def _write_state(trained: Trained, part: str, path: Path) -> None:
    model = backbone_of(trained.model).backbone if part == "backbone" else trained.model
    state = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
    stream = io.BytesIO()
    torch.save(state, stream)
    path.write_bytes(stream.getvalue())


def _inputs(
    trained: Trained, graph: Graph, files: Sequence[str | Path]
) -> tuple[list[torch.Tensor], bool]:
    """Images of several sizes, and whether they are made up."""
    names = [str(f) for f in files] or images_of(trained.test_sets)
    images = []
    for name in names:
        try:
            images.append(trained.mapper({"file_name": name})["image"].float())
        except (OSError, ValueError, SyntaxError) as e:
            raise ExportError(f"The image {name} could not be read: {e}") from e
    if names:
        _, height, width = images[0].shape
        images.append(images[0][:, : height * 3 // 4, : width // 2].contiguous())
    else:
        generator = torch.Generator().manual_seed(0)
        images = [torch.rand(3, *size, generator=generator) * 255 for size in _SIZES]
    if not graph.is_detector:
        images = [torch.stack([x, x.flip(2)]) for x in images]
    return images, not names


def images_of(names: Sequence[str]) -> list[str]:
    """The first three images of the first data set of these whose files are there."""
    for name in names:
        with suppress(DataError):
            if not missing_datasets(name):
                files = [record["file_name"] for record in DatasetCatalog.get(name)[:3]]
                if files := list(filter(os.path.isfile, files)):
                    return files
    return []
