"""Files of an exported network, and running them as their users would."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .errors import ExportError
from .graphs import Graph

Run = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]


def write_torchscript(
    graph: Graph, example: torch.Tensor, path: Path, description: Mapping[str, Any]
) -> None:
    """Trace the graph; the file holds the description too, as ``detnas.json``.

    It does what the network does, operation by operation, with the same result bit by bit;
    ``torch.jit.freeze`` makes the batch norms part of the convolutions.
    """
    stream = io.BytesIO()
    with _exporting("TorchScript"):
        traced = torch.jit.trace(graph.traceable(example), (example,), check_trace=False)
        torch.jit.save(traced, stream, _extra_files={"detnas.json": json.dumps(description)})
    path.write_bytes(stream.getvalue())


def read_torchscript(path: Path, device: str) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(str(path), map_location=device)
    return torch.no_grad()(lambda image: tuple(module(image)))


def write_onnx(
    graph: Graph, example: torch.Tensor, path: Path, description: Mapping[str, Any]
) -> None:
    """Write the graph, batch norms part of the convolutions; its metadata hold the description,
    each value as JSON."""
    import onnx

    with _exporting("ONNX"):
        # the exporter by tracing: the other one does not take what detection computes out of data
        torch.onnx.export(
            graph.traceable(example),
            (example,),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            output_names=list(graph.outputs),
            dynamic_axes=graph.axes,
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {k: json.dumps(v) for k, v in description.items()})
    path.write_bytes(model.SerializeToString())


def read_onnx(path: Path) -> Run:
    """
    Raises:
        ExportError: a file that onnx's checker refuses.
    """
    import onnx
    import onnxruntime

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except onnx.checker.ValidationError as e:
        raise ExportError(f"onnx.checker refuses the exported file: {e}") from e
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: tuple(map(torch.as_tensor, session.run(None, {"image": image.numpy()})))


def check_onnx(device: str) -> None:
    """
    Raises:
        ExportError: a package is missing; a device other than "cpu".
    """
    missing = [p for p in ("onnx", "onnxruntime") if importlib.util.find_spec(p) is None]
    if missing:
        raise ExportError(
            f"--format onnx needs {' and '.join(missing)}: pip install 'detnas-d2[export]'."
        )
    if device != "cpu":
        raise ExportError("An ONNX file runs wherever its runtime does: leave --device out.")


@contextmanager
def _exporting(what: str) -> Iterator[None]:
    """Silence about what tracing always says; whatever fails in PyTorch is an ExportError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OSError:
        raise
    except Exception as e:  # the exporters raise anything
        first = str(e).strip().partition("\n")[0]
        raise ExportError(
            f"PyTorch {torch.__version__} can't write this network as {what}: "
            f"{type(e).__name__}: {first}\nA block of one's own has to consist of what {what} has."
        ) from e
