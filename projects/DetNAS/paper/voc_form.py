"""A made digits set in Pascal VOC's form, too: for the VOC figure of the study on handwriting."""

from __future__ import annotations

import json
from pathlib import Path

from detnas_d2.data import register_voc_folder

_XML = """<annotation><filename>{file_name}</filename>
<size><width>{width}</width><height>{height}</height><depth>3</depth></size>{objects}
</annotation>
"""
_OBJECT = """
<object><name>{}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def write_voc(root: Path) -> list[str]:
    """Writes Annotations/ and ImageSets/ beside the COCO files; returns the classes."""
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for file in sorted((root / "annotations").iterdir()):
        content = json.loads(file.read_text())
        names = {c["id"]: c["name"] for c in content["categories"]}
        objects = {image["id"]: "" for image in content["images"]}
        for a in content["annotations"]:
            x, y, width, height = a["bbox"]
            corners = (x + 1, y + 1, x + width, y + height)  # from 1, both ends included
            objects[a["image_id"]] += _OBJECT.format(names[a["category_id"]], *corners)
        stems = [Path(image["file_name"]).stem for image in content["images"]]
        for stem, image in zip(stems, content["images"], strict=True):
            xml = _XML.format(**image, objects=objects[image["id"]])
            (root / "Annotations" / f"{stem}.xml").write_text(xml)
        split = file.stem.removeprefix("instances_")
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(
            "".join(f"{stem}\n" for stem in stems)
        )
    return list(names.values())


def register_voc(root: Path) -> list[str]:
    """Registers digits_voc_{train,val,test} out of it; returns the names."""
    classes = write_voc(root)
    names = [f"digits_voc_{split}" for split in ("train", "val", "test")]
    for name in names:
        # of another folder, a later call takes its place
        register_voc_folder(name, root, name.rpartition("_")[2], classes, 2007, builtin={})
    return names
