"""Install the released Detectron2 0.6 into the running environment, unless one is there already.

    python tools/install_detectron2.py [OPTIONS OF PIP INSTALL]   # after torch and setuptools

Detectron2 has no PyPI project of its own name. The sdist `pb1-detectron2` 0.6 on PyPI holds
exactly the Python files of its tag v0.6, without the C++ sources. pip downloads it, held to its
SHA-256 before anything in it runs. `FIXES` are applied, and it is installed as pure Python (rotated
boxes and deformable convolution stay out, object detection needs neither), without its dated
requirements, which are listed, as far as needed, in our setup.cfg.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

RELEASE = "pb1-detectron2==0.6"
SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"

_IMPORT_C = "from detectron2 import _C\n"
_OPTIONAL_C = "try:\n    from detectron2 import _C\nexcept ImportError:\n    _C = None\n"
_NO_CUDA = 'assert torch.cuda.is_available(), "cuda is not available. Please check your '
_NO_CUDA += 'installation."'
_DEVICE = (
    "    assert num_gpus_per_machine <= torch.cuda.device_count()\n"
    "    torch.cuda.set_device(local_rank)\n"
)
_PKG_PATH = (
    "pkg_resources.resource_filename(\n"
    '        "detectron2.model_zoo", os.path.join("configs", config_path)\n'
    "    )\n"
)
# What Detectron2's head changed since, for today's torch, numpy, Pillow and Python; and what the
# pure wheel and processes on CPUs need. File below detectron2/ -> (old, new), at all its places.
FIXES: dict[str, list[tuple[str, str]]] = {
    "layers/deform_conv.py": [(_IMPORT_C, _OPTIONAL_C)],
    "layers/roi_align_rotated.py": [(_IMPORT_C, _OPTIONAL_C)],
    "layers/rotated_boxes.py": [(_IMPORT_C, _OPTIONAL_C)],
    # the fast COCOeval is in the extension; pycocotools' gives the same, and the log says which
    "evaluation/coco_evaluation.py": [
        (
            "from detectron2.evaluation.fast_eval_api import COCOeval_opt\n",
            "try:\n"
            "    from detectron2.evaluation.fast_eval_api import COCOeval_opt\n"
            "except ImportError:\n"
            "    COCOeval_opt = COCOeval\n",
        ),
        ("= use_fast_impl\n", "= use_fast_impl and COCOeval_opt is not COCOeval\n"),
    ],
    "data/transforms/transform.py": [("Image.LINEAR", "Image.BILINEAR")],  # gone in Pillow 10
    "data/datasets/pascal_voc.py": [("dtype=np.str)", "dtype=str)")],  # gone in numpy 1.24
    "data/build.py": [("dtype=np.int\n", "dtype=int\n"), ("dtype=np.int)", "dtype=int)")],
    # random.sample takes no set since Python 3.11
    "data/common.py": [("(self._fallback_candidates, ", "(sorted(self._fallback_candidates), ")],
    # torch 2's own schedulers are no _LRScheduler: their state would not be saved
    "engine/hooks.py": [("lr_scheduler._LRScheduler", "lr_scheduler.LRScheduler")],
    "engine/launch.py": [  # several processes on CPUs
        (_NO_CUDA, "on_gpu = torch.cuda.is_available()"),
        ('backend="NCCL"', 'backend="NCCL" if on_gpu else "GLOO"'),
        (_DEVICE, "    if on_gpu:\n" + "".join(f"    {x}\n" for x in _DEVICE.splitlines())),
    ],
    # needs caffe2, which PyTorch has dropped; the other exports work without
    "export/__init__.py": [
        ("from .api import *\n", "try:\n    from .api import *\nexcept ImportError:\n    pass\n")
    ],
    "model_zoo/model_zoo.py": [  # gone in setuptools 81
        ("import pkg_resources\n", "from importlib import resources\n"),
        (_PKG_PATH, 'str(resources.files("detectron2.model_zoo") / "configs" / config_path)\n'),
    ],
}

# In place of the release's setup.py, which wants to compile. Named `detectron2`, so that a later
# `pip install` of another Detectron2 replaces this one; the local version says it is a variant.
SETUP_PY = """\
from pathlib import Path
from setuptools import find_packages, setup

projects = {
    "detectron2.projects.point_rend": "projects/PointRend/point_rend",
    "detectron2.projects.deeplab": "projects/DeepLab/deeplab",
    "detectron2.projects.panoptic_deeplab": "projects/Panoptic-DeepLab/panoptic_deeplab",
}
zoo = Path("detectron2/model_zoo")
configs = [p.relative_to(zoo).as_posix() for p in (zoo / "configs").rglob("*") if p.is_file()]
setup(
    name="detectron2",
    version="0.6+pure",
    packages=find_packages(include=("detectron2", "detectron2.*")) + list(projects),
    package_dir=projects,
    package_data={"detectron2.model_zoo": configs},
    ext_modules=[],
    python_requires=">=3.10",
    license_files=["LICENSE"],
)
"""


def pip(problem: str, *arguments: str) -> None:
    """Run this environment's pip; `problem` opens the message with which all ends if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last_lines = "\n".join(done.stdout.strip().splitlines()[-15:])
        if "DO NOT MATCH THE HASHES" in done.stdout:
            problem = f"What the package index offers is not the file with SHA-256 {SHA256}."
        sys.exit(f"Detectron2 was not installed. {problem}\npip said:\n{last_lines}")


def main(options: Sequence[str]) -> None:
    spec = importlib.util.find_spec("detectron2")
    if spec is not None and spec.origin is not None:  # no origin: just some folder of that name
        print(f"There is a Detectron2 in {Path(spec.origin).parent}: nothing to do.")
        return
    with tempfile.TemporaryDirectory(prefix="detectron2-") as temporary:
        folder = Path(temporary)
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{RELEASE} --hash=sha256:{SHA256}\n", encoding="utf-8")
        print(f"Downloading {RELEASE} ...", flush=True)
        # pip checks the hash, then runs the sdist's setup.py for its metadata, which imports torch
        pip(
            f"pip could not download {RELEASE}. It needs torch and setuptools to be installed. "
            "Without a network, get its .tar.gz elsewhere, put it into a folder, and run again "
            "with PIP_NO_INDEX=1 PIP_FIND_LINKS=<that folder>.",
            *("download", "--require-hashes", "--requirement", str(requirement), "--no-deps"),
            *("--no-build-isolation", "--no-binary", ":all:", "--dest", temporary),
        )
        sdist = next(folder.glob("pb1*.tar.gz"))
        shutil.unpack_archive(sdist, folder)
        source = folder / sdist.name.removesuffix(".tar.gz")
        for name, changes in FIXES.items():
            file = source / "detectron2" / name
            text = file.read_text(encoding="utf-8")
            for old, new in changes:
                text = text.replace(old, new)
            file.write_text(text, encoding="utf-8")
        (source / "setup.py").write_text(SETUP_PY, encoding="utf-8")
        print("Installing it ...", flush=True)
        pip(
            "It could not be built or installed. Is setuptools at least 70.1?",
            *("install", "--no-deps", "--no-build-isolation", "--use-pep517", "--no-index"),
            *("--no-cache-dir", *options, str(source)),
        )
    print(f"Installed {RELEASE} as detectron2 0.6+pure.")


if __name__ == "__main__":
    main(sys.argv[1:])
