"""Checkpoints that are whole or absent, and that know which network they hold."""

from __future__ import annotations

import logging
import os
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, BinaryIO
from urllib.parse import urlparse

import torch
from detectron2.checkpoint import DetectionCheckpointer

from ..files import write_atomically
from ..modeling import concerns_classifier, describe, find_backbone, load_weights
from .checkpoint_file import CheckpointError, check_backbone, check_whole, named_last

logger = logging.getLogger(__name__)

_HOW_TO_CONVERT = """If you trust it, write its weights anew and load the result:
  python -c "import torch; {}\""""

_PICKLES = (".pkl", ".pyth")  # Detectron2 unpickles files that end so

# an address with ".." leads out of the folder in which iopath keeps what it downloads, so that any
# file of this machine could be read in its place, or written
_OUTSIDE = re.compile(r"://.*\.\.")


class DetNASCheckpointer(DetectionCheckpointer):
    """Detectron2's checkpointer, with five differences.

    * A checkpoint is written to another name, flushed and moved into place: a kill or a full
      disk while saving leaves the last good one, and ``last_checkpoint`` never points to a
      broken file.
    * It stores which space and architecture its backbone is of (key ``detnas``), and class names,
      where it was told them (``categories``). A checkpoint of another network is refused, not half
      loaded, and so is one that leaves the whole backbone as it was.
    * Loading slices a stand-alone network out of a supernet's weights, and a classification
      checkpoint fills a detector's backbone, whichever it is (``detnas_d2.modeling.load_weights``).
    * A file is data: it is read with weights_only, so that nothing in it is run. Of pickles, only
      those of Detectron2's model zoo (detectron2://) are read, as Detectron2 itself does.
    * ``last_checkpoint`` names files of its own folder only.

    All else loads as Detectron2 does: detectors without a DetNAS backbone, the model zoo's weights
    by names alike. What did not fit is then a warning.
    """

    categories: Sequence[Mapping[str, Any]] = ()
    """What the detector's classes are called (``categories_of``), to be stored with the weights."""

    _from_zoo = False
    _whole = False
    _part: Mapping[str, bool] = MappingProxyType({})

    def save(self, name: str, **kwargs: Any) -> None:
        if not self.save_dir or not self.save_to_disk:
            return
        data = {"model": self.model.state_dict()}
        if described := describe(self.model):
            data["detnas"] = described
        if self.categories:
            data["categories"] = self.categories
        data.update({key: obj.state_dict() for key, obj in self.checkpointables.items()})
        data.update(kwargs)
        path = os.path.join(self.save_dir, f"{name}.pth")
        self.logger.info(f"Saving checkpoint to {path}")
        _save(path, lambda f: torch.save(data, f))
        self.tag_last_checkpoint(os.path.basename(path))

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        _save(os.path.join(self.save_dir, "last_checkpoint"), last_filename_basename)

    def get_checkpoint_file(self) -> str:
        """See `named_last`."""
        return named_last(self.save_dir)

    def load_initial(
        self, path: str, *, backbone_only: bool = False, path_only: bool = False
    ) -> None:
        """Start from the weights of a checkpoint, or of a part of it; see ``load_weights``.

        Raises:
            CheckpointError: as ``load``, and for a part that this model has no use for.
        """
        self._part = {"backbone_only": backbone_only, "path_only": path_only}
        try:
            self.load(path, checkpointables=[])
        finally:
            del self._part

    def load(self, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """See ``fvcore.common.checkpoint.Checkpointer.load``.

        Raises:
            CheckpointError: for a missing or damaged file, one of another network, or one that
                would have to be run.
        """
        if path and _OUTSIDE.search(path):
            raise CheckpointError(f"The address {path!r} is refused, for it has '..' in it.")
        self._from_zoo = bool(path) and path.startswith("detectron2://")
        if path and "://" not in path and not os.path.isfile(path):
            raise CheckpointError(
                f"The checkpoint {path!r} does not exist on this machine. {self._remedy(path)} On "
                "several machines the output folder has to lie on a shared file system."
            )
        if path and urlparse(path).path.endswith(_PICKLES) and not self._from_zoo:
            # before it is fetched: iopath would keep it where the zoo's files are looked for
            raise CheckpointError(
                f"The checkpoint {path!r} is not read: Detectron2 unpickles such files, which runs "
                "code of whoever wrote it. Only its own model zoo's are (detectron2://...). "
                + _HOW_TO_CONVERT.format(
                    "from detectron2.checkpoint import DetectionCheckpointer; "
                    "c = DetectionCheckpointer(torch.nn.Module()); d = c._load_file('IN'); "
                    "c._convert_ndarray_to_tensor(d['model']); torch.save(d, 'OUT.pth')"
                )
            )
        try:
            return super().load(path, *args, **kwargs)
        except pickle.UnpicklingError as e:  # whose own message advises against weights_only
            raise CheckpointError(
                f"The checkpoint {path!r} could not be loaded: it is truncated or otherwise "
                "damaged, or it holds other objects than tensors, numbers and text, and reading "
                "those runs code of whoever wrote it. "
                + _HOW_TO_CONVERT.format(
                    "c = torch.load('IN', 'cpu', weights_only=False); "
                    "torch.save({'model': c.get('model', c)}, 'OUT.pth')"
                )
            ) from e
        except (
            *(RuntimeError, EOFError, OSError, AssertionError),  # not there, or not a whole file
            *(KeyError, TypeError, ValueError, AttributeError),  # not what this trainer saves
        ) as e:
            raise CheckpointError(
                f"The checkpoint {path!r} could not be loaded: {type(e).__name__}: {e}\n"
                f"It may be truncated or not a checkpoint. {self._remedy(path)}"
            ) from e
        finally:
            # after a failure, Detectron2's would refuse the next file
            self._parsed_url_during_load = None

    def load_whole(self, path: str) -> None:
        """Load all weights of a network that is to be evaluated, heads too.

        Raises:
            CheckpointError: as ``load``, and as `check_whole`.
        """
        self._whole = True
        try:
            self.load(path, checkpointables=[])
        finally:
            del self._whole

    def _remedy(self, path: str) -> str:
        if "://" in path:
            return "Check the address and the network, or download it and give the file."
        last = os.path.join(self.save_dir, "last_checkpoint")
        if self.save_dir and os.path.dirname(path) == os.path.normpath(self.save_dir):
            return f"{last!r} names it; write the name of an earlier, whole one into that file."
        return (
            "Copy it anew, or give the model_final.pth of the step before "
            "(train.init_checkpoint=...)."
        )

    def _load_file(self, filename: str) -> Any:
        if self._from_zoo and filename.endswith(_PICKLES):
            return super()._load_file(filename)
        loaded = torch.load(filename, map_location="cpu", weights_only=True)
        return loaded if "model" in loaded else {"model": loaded}

    def _load_model(self, checkpoint: Any) -> Any:
        native = not checkpoint.get("matching_heuristics", False)
        if self._whole and isinstance(checkpoint.get("model"), Mapping) and native:
            check_whole(self.model, checkpoint)
        strict = find_backbone(self.model) or concerns_classifier(self.model, checkpoint)
        if not native or not (strict or any(self._part.values())):
            incompatible = super()._load_model(checkpoint)
            check_backbone(self.model, set(incompatible.missing_keys))
            return incompatible
        try:
            report = load_weights(self.model, checkpoint, **self._part)
        except ValueError as e:
            raise CheckpointError(f"The checkpoint does not fit the model: {e}") from e
        logger.info(report)
        return None


def _save(path: str, write: str | Callable[[BinaryIO], Any]) -> None:
    try:
        write_atomically(path, write)
    except (OSError, RuntimeError) as e:  # torch.save reports a failed write as RuntimeError
        raise CheckpointError(
            f"{path!r} could not be written ({e}); is the disk full or the folder read-only? "
            "What was saved before is untouched: free some space and go on with --resume."
        ) from e
