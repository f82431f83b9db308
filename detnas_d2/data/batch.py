"""A classification batch: one tensor of images in the place of one an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import default_collate


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
