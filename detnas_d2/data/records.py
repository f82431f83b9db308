"""How a process keeps a data set's records: once for all data workers, made anew when read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from detectron2.data import DatasetFromList
from torch.utils.data import Dataset

Record = dict[str, Any]

_UNUSED = {"use_instance_mask": "segmentation", "use_keypoint": "keypoints"}


def kept_records(dataset: Sequence[Record], mapper: Callable[[Record], Any]) -> Dataset[Record]:
    """The records in memory that forked workers share; each access makes a new record.

    Masks and keypoints are left out where `mapper` says that it does not use them, as Detectron2's
    ``DatasetMapper`` does (``use_instance_mask``, ``use_keypoint``), which drops them image by
    image: COCO's polygons are most of its annotations.

    Args:
        dataset: dicts in Detectron2's form, not changed. A torch Dataset, such as that of an image
            folder, is taken as it is.
    """
    if isinstance(dataset, Dataset):
        return dataset
    unused = {key for flag, key in _UNUSED.items() if not getattr(mapper, flag, True)}
    return DatasetFromList(_Without(dataset, unused), copy=False)


class _Without:
    """Records without some keys of their annotations, one at a time: no second list of them."""

    def __init__(self, records: Sequence[Record], keys: set[str]) -> None:
        self._records, self._keys = records, keys

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            if self._keys and "annotations" in record:
                lighter = [
                    {k: a[k] for k in a if k not in self._keys} for a in record["annotations"]
                ]
                record = {**record, "annotations": lighter}
            yield record


class ImageRecords(Sequence[Record], Dataset[Record]):
    """The images of a folder in ImageNet's form, kept as their names, some 40 bytes each.

    A sequence of dicts, and a torch Dataset: Detectron2's ``get_detection_dataset_dicts`` hands
    that on, and makes no list of it.

    Args:
        root: of the data set.
        files: of each class, in the order of the labels, the files' paths below root.
    """

    def __init__(self, root: Path, files: Iterable[Sequence[str]]) -> None:
        self._root = root
        classes = [np.array([os.fsencode(file) for file in each], np.bytes_) for each in files]
        self._labels = np.repeat(np.arange(len(classes), dtype=np.int32), [*map(len, classes)])
        self._ids = np.concatenate(classes)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """{"file_name", "category_id", "image_id"}; image_id is the path below root."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        image_id = os.fsdecode(self._ids[index])
        label = int(self._labels[index])
        return {"file_name": f"{self._root}/{image_id}", "category_id": label, "image_id": image_id}
