"""Install the released Detectron2 0.6 into the running environment, unless one is there already.

Detectron2 has no PyPI project of its own name. The sdist `pb1-detectron2` 0.6 on PyPI holds
exactly the Python files of its tag v0.6, without the C++ sources. This script

1. does nothing where a Detectron2 is installed already;
2. lets pip download that sdist, held to its SHA-256 before anything in it runs;
3. unpacks it in a temporary folder and applies `FIXES`, what Detectron2's head changed since
   for today's torch, numpy, Pillow and Python; each has to match exactly as often as it says;
4. builds a pure Python wheel (no compiled extension: rotated boxes and deformable convolution
   stay out, object detection needs neither) and installs it without its dated requirements,
   which are listed, as far as needed, in our setup.cfg.

Whatever fails before the very last step leaves the environment as it was.
Usage: python tools/install_detectron2.py   (with torch and setuptools installed)
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RELEASE = "pb1-detectron2==0.6"
SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"


class InstallError(Exception):
    """Why Detectron2 was not installed, and what to do about it."""


@dataclass(frozen=True)
class Fix:
    """Replace `old` by `new` in `file` (under detectron2/), where it must occur `count` times."""

    file: str
    old: str
    new: str
    count: int
    reason: str


_IMPORT_C = "from detectron2 import _C\n"
_OPTIONAL_C = """\
try:
    from detectron2 import _C
except ImportError:
    _C = None  # left out of the pure wheel: no rotated boxes, no deformable convolution
"""

FIXES = (
    Fix("layers/deform_conv.py", _IMPORT_C, _OPTIONAL_C, 1, "no compiled extension"),
    Fix("layers/roi_align_rotated.py", _IMPORT_C, _OPTIONAL_C, 1, "no compiled extension"),
    Fix("layers/rotated_boxes.py", _IMPORT_C, _OPTIONAL_C, 1, "no compiled extension"),
    Fix(
        "evaluation/coco_evaluation.py",
        "from detectron2.evaluation.fast_eval_api import COCOeval_opt\n",
        "try:\n"
        "    from detectron2.evaluation.fast_eval_api import COCOeval_opt\n"
        "except ImportError:\n"
        "    COCOeval_opt = COCOeval\n",
        1,
        "the fast COCOeval is in the compiled extension; pycocotools' gives the same numbers",
    ),
    Fix(
        "evaluation/coco_evaluation.py",
        "self._use_fast_impl = use_fast_impl\n",
        "self._use_fast_impl = use_fast_impl and COCOeval_opt is not COCOeval\n",
        1,
        "the log should say 'official' where pycocotools' COCOeval is what runs",
    ),
    Fix("data/transforms/transform.py", "Image.LINEAR", "Image.BILINEAR", 1, "gone in Pillow 10"),
    Fix("data/datasets/pascal_voc.py", "dtype=np.str)", "dtype=str)", 1, "gone in numpy 1.24"),
    Fix("data/build.py", "dtype=np.int\n", "dtype=int\n", 1, "gone in numpy 1.24"),
    Fix("data/build.py", "dtype=np.int)", "dtype=int)", 1, "gone in numpy 1.24"),
    Fix(
        "data/common.py",
        "sample(self._fallback_candidates, ",
        "sample(sorted(self._fallback_candidates), ",
        1,
        "random.sample takes no set since Python 3.11",
    ),
    Fix(
        "engine/hooks.py",
        "torch.optim.lr_scheduler._LRScheduler",
        "torch.optim.lr_scheduler.LRScheduler",
        2,
        "torch 2's own schedulers are no _LRScheduler: their state would not be saved",
    ),
    Fix(
        "engine/launch.py",
        'assert torch.cuda.is_available(), "cuda is not available. '
        'Please check your installation."\n',
        "on_gpu = torch.cuda.is_available()\n",
        1,
        "several processes on CPUs",
    ),
    Fix(
        "engine/launch.py",
        'backend="NCCL"',
        'backend="NCCL" if on_gpu else "GLOO"',
        1,
        "several processes on CPUs",
    ),
    Fix(
        "engine/launch.py",
        "    assert num_gpus_per_machine <= torch.cuda.device_count()\n"
        "    torch.cuda.set_device(local_rank)\n",
        "    if on_gpu:\n"
        "        assert num_gpus_per_machine <= torch.cuda.device_count()\n"
        "        torch.cuda.set_device(local_rank)\n",
        1,
        "several processes on CPUs",
    ),
    Fix(
        "export/__init__.py",
        "from .api import *\n",
        "try:\n    from .api import *\nexcept ImportError:\n    pass\n",
        1,
        "needs caffe2, which PyTorch has dropped; the other exports work without",
    ),
    Fix(
        "model_zoo/model_zoo.py",
        "import pkg_resources\n",
        "from importlib import resources\n",
        1,
        "gone in setuptools 81",
    ),
    Fix(
        "model_zoo/model_zoo.py",
        "pkg_resources.resource_filename(\n"
        '        "detectron2.model_zoo", os.path.join("configs", config_path)\n'
        "    )\n",
        'str(resources.files("detectron2.model_zoo").joinpath("configs", config_path))\n',
        1,
        "gone in setuptools 81",
    ),
)

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


def installed() -> str | None:
    """Version and folder of the Detectron2 that `import detectron2` finds here, or None."""
    spec = importlib.util.find_spec("detectron2")
    if spec is None or spec.origin is None:  # no origin: just some folder of that name
        return None
    init = Path(spec.origin)
    version = re.search(r"__version__\s*=\s*[\"'](.+?)[\"']", init.read_text(encoding="utf-8"))
    return f"{version[1] if version else 'unknown version'} in {init.parent}"


def pip(arguments: Sequence[str], problem: str) -> None:
    """Run this environment's pip; `problem` opens the error that is raised if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last_lines = "\n".join(done.stdout.strip().splitlines()[-15:])
        if "DO NOT MATCH THE HASHES" in done.stdout:
            problem = "What the package index offers is not the released file: its SHA-256 differs."
        raise InstallError(f"{problem}\npip said:\n{last_lines}")


def download(folder: Path) -> Path:
    """Let pip fetch the sdist into `folder`, held to `SHA256`; returns the file.

    pip runs the sdist's setup.py for its metadata (hence torch and --no-build-isolation), but
    checks the hash before that.
    """
    for needed in ("torch", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            raise InstallError(
                f"{needed} is not installed in {sys.prefix}, and Detectron2 needs it to be built. "
                f"Install it first: {sys.executable} -m pip install {needed}"
            )
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{RELEASE} --hash=sha256:{SHA256}\n", encoding="utf-8")
    pip(
        ["download", "--require-hashes", "--requirement", str(requirement), "--dest", str(folder)]
        + ["--no-deps", "--no-build-isolation", "--no-binary", RELEASE.split("==")[0]],
        f"pip could not download {RELEASE}. Without a network, get its .tar.gz elsewhere, put it "
        "into a folder, and run again with PIP_NO_INDEX=1 PIP_FIND_LINKS=<that folder>.",
    )
    sdist = next(folder.glob("pb1*.tar.gz"))
    found = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if found != SHA256:
        raise InstallError(f"{sdist.name} has SHA-256 {found}, but {SHA256} was expected.")
    return sdist


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack the sdist into `folder`; returns the source tree."""
    shutil.unpack_archive(sdist, folder)
    return folder / sdist.name.removesuffix(".tar.gz")


def apply_fixes(source: Path, fixes: Sequence[Fix] = FIXES) -> None:
    """Apply `fixes` to the source tree `source`; raises at the first that does not match."""
    for fix in fixes:
        file = source / "detectron2" / fix.file
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if text.count(fix.old) != fix.count:
            raise InstallError(
                f"detectron2/{fix.file}: expected {fix.count} times, but found "
                f"{text.count(fix.old)} times: {fix.old!r} (to fix: {fix.reason}). The fixes in "
                f"{Path(__file__).name} are for {RELEASE} only. Nothing was installed."
            )
        file.write_text(text.replace(fix.old, fix.new), encoding="utf-8")


def build_wheel(source: Path, folder: Path) -> Path:
    """Build the pure wheel of the fixed tree into `folder`; returns the file."""
    (source / "setup.py").write_text(SETUP_PY, encoding="utf-8")
    pip(
        ["wheel", "--no-deps", "--no-build-isolation", "--use-pep517", "--no-index"]
        + ["--no-cache-dir", "--wheel-dir", str(folder), str(source)],
        "The wheel could not be built. Is setuptools at least 70.1?",
    )
    return next(folder.glob("detectron2-*.whl"))


def main() -> int:
    found = installed()
    if found:
        print(f"Detectron2 {found} is installed: nothing to do.")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="detectron2-") as temporary:
            folder = Path(temporary)
            print(f"Downloading {RELEASE} ...", flush=True)
            source = unpack(download(folder), folder)
            apply_fixes(source)
            print(f"{len(FIXES)} fixes applied, building and installing the wheel ...", flush=True)
            wheel = build_wheel(source, folder)
            pip(["install", "--no-deps", "--no-index", str(wheel)], "The install failed.")
    except InstallError as error:
        print(f"Detectron2 was not installed. {error}", file=sys.stderr)
        return 1
    importlib.invalidate_caches()
    print(f"Installed Detectron2 {installed()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
