"""What a data set holds, as a hash: another one under the same name is another search's."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.file_io import PathManager

from ..data.errors import DataError
from ..data.voc import image_ids
from ..engine.fingerprint import file_hash


def dataset_hash(name: str) -> str:
    """16 hexadecimal digits of a SHA-256, whatever folder the data set lies in.

    COCO's form: of the JSON file's bytes (a second for 500 MB). VOC's: of the image set, the
    annotation files that it names and the metric's year. Any other (image folders): of its records,
    file names without folders. The images' own bytes are not read.

    Raises:
        DataError: a file that can't be read.
    """
    digest = hashlib.sha256()
    try:
        for part in _parts(name):
            digest.update(part.encode() + b"\n")
    except OSError as error:
        raise DataError(
            f"Data set {name!r}: can't read {error.filename!r} ({error.strerror}); mend or restore "
            "it."
        ) from error
    return digest.hexdigest()[:16]


def _parts(name: str) -> Iterator[str]:
    metadata = MetadataCatalog.get(name)
    if json_file := metadata.get("json_file"):
        yield file_hash(PathManager.get_local_path(json_file))
    elif dirname := metadata.get("dirname"):
        folder = PathManager.get_local_path(dirname)
        yield f"{metadata.get('year')}"
        for image_id in image_ids(folder, metadata.split):
            yield f"{image_id} {file_hash(os.path.join(folder, 'Annotations', f'{image_id}.xml'))}"
    else:
        for record in DatasetCatalog.get(name):
            file_name = os.path.basename(record.get("file_name", ""))
            yield json.dumps({**record, "file_name": file_name}, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else repr(value)
