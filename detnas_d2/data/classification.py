"""Reading, augmenting and batching images for classification, in Detectron2's terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from torch.utils.data import default_collate
from torchvision.transforms import RandomResizedCrop as _Torchvisions

from detnas_d2.data.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images of one size as one tensor; reads like the list of Detectron2's dicts that it was.

    Each tensor of a data worker reaches the main process through a connection and an open file of
    its own. For the images of a large batch, one by one, that takes longer than a GPU's step.

    Not a ``Sequence``: of these PyTorch page-locks the items, one by one again.

    Attributes:
        images: (N, C, H, W), as the mapper gave them.
        others: what each image's dict holds besides "image".
    """

    images: torch.Tensor
    others: list[dict[str, Any]]

    @classmethod
    def collate(cls, mapped: list[dict[str, Any]]) -> ImageBatch | list[dict[str, Any]]:
        """A batch of the dicts; they stay a list where their images are of several sizes."""
        images = [x["image"] for x in mapped]
        if len({image.shape for image in images}) > 1:
            return mapped
        others = [{key: x[key] for key in x if key != "image"} for x in mapped]
        # in a data worker, default_collate stacks into the memory that is shared
        return cls(default_collate(images), others)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.others[index], "image": self.images[index]}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for other, image in zip(self.others, self.images.unbind(), strict=True):
            yield {**other, "image": image}

    def pin_memory(self) -> ImageBatch:
        """The same in page-locked memory; DataLoader calls this."""
        return replace(self, images=self.images.pin_memory())


class RandomResizedCrop(T.Augmentation):
    """A random part of the image, resized to a square (as GoogLeNet and its successors train).

    The part is drawn as torchvision's class of this name does.

    Args:
        size: side of the result, pixels.
        scale: range of the part's share of the image's area; its aspect ratio is 3/4 to 4/3.
    """

    def __init__(self, size: int, scale: Sequence[float] = (0.08, 1.0)) -> None:
        super().__init__()
        self.size, self.scale = size, tuple(scale)

    def get_transform(self, image: np.ndarray) -> T.Transform:
        of_its_size = torch.empty(1).expand(1, *image.shape[:2])  # takes no memory
        y, x, h, w = _Torchvisions.get_params(of_its_size, list(self.scale), [3 / 4, 4 / 3])
        return T.TransformList(
            [T.CropTransform(x, y, w, h), T.ResizeTransform(h, w, self.size, self.size)]
        )


class CenterCrop(T.Augmentation):
    """The square of the given side in the image's centre; the whole side where it is shorter."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def get_transform(self, image: np.ndarray) -> T.Transform:
        height, width = image.shape[:2]
        w, h = min(width, self.size), min(height, self.size)
        return T.CropTransform((width - w) // 2, (height - h) // 2, w, h)


class ClassificationMapper:
    """Dict of a classification set -> the same with its image. Loaders make ``ImageBatch`` of it.

    Args:
        is_train: training or test.
        augmentations: Detectron2's, or those of this module.
        image_format: as ``detection_utils.read_image`` takes it.
    """

    collate = ImageBatch.collate

    def __init__(
        self,
        is_train: bool,
        *,
        augmentations: Sequence[T.Augmentation | T.Transform],
        image_format: str = "BGR",
    ) -> None:
        self.is_train = is_train
        self.augmentations = T.AugmentationList(list(augmentations))
        self.image_format = image_format

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """
        Returns:
            The dict with "image": (channels, height, width) uint8 of 0 to 255, in image_format.

        Raises:
            DataError: the dict has no "category_id" in training.
        """
        if self.is_train and "category_id" not in record:
            raise DataError(f"{record.get('file_name')} has no category_id to train on.")
        image = detection_utils.read_image(record["file_name"], format=self.image_format)
        height, width = image.shape[:2]
        augmented = T.AugInput(image)
        self.augmentations(augmented)
        pixels = torch.as_tensor(np.ascontiguousarray(augmented.image.transpose(2, 0, 1)))
        return {**record, "height": height, "width": width, "image": pixels}


def imagenet_train_augmentations(
    size: int = 224, scale: Sequence[float] = (0.08, 1.0), jitter: float = 0.4
) -> list[T.Augmentation]:
    """Random resized crop, horizontal flip and colour jitter, as ShuffleNetV2's code trains.

    Args:
        size, scale: as of :class:`RandomResizedCrop`.
        jitter: brightness, contrast and saturation are each scaled by 1 - jitter to 1 + jitter;
            0 for none. (Saturation takes its grey from weights for RGB, also for BGR images.)
    """
    augmentations: list[T.Augmentation] = [RandomResizedCrop(size, scale)]
    if jitter:
        low, high = 1 - jitter, 1 + jitter
        augmentations += [
            T.RandomBrightness(low, high),
            T.RandomContrast(low, high),
            T.RandomSaturation(low, high),
        ]
    return [*augmentations, T.RandomFlip()]


def imagenet_test_augmentations(size: int = 224, resize: int = 256) -> list[T.Augmentation]:
    """The shorter edge to ``resize`` pixels, then the centre square of ``size``."""
    return [T.ResizeShortestEdge(resize, max_size=10**6), CenterCrop(size)]
