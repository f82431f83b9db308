"""tools/install_detectron2.py: what it refuses, what it leaves alone, and the real release."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "install_detectron2.py"


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_detectron2", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


tool = load_tool()


@pytest.fixture
def pip_calls(monkeypatch):
    """The pip commands that the tool runs (they do run)."""
    calls = []
    run = subprocess.run

    def record(command, **kwargs):
        calls.append(command[command.index("--disable-pip-version-check") + 1])
        return run(command, **kwargs)

    monkeypatch.setattr(tool.subprocess, "run", record)
    return calls


@pytest.fixture
def only_folder(monkeypatch, tmp_path):
    """A folder that is all pip can see: no configuration, no index."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(tool, "installed", lambda: None)


def write_sdist(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"pb1-detectron2-0.6/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_an_existing_installation_is_named_and_left_alone(pip_calls, capsys):
    import detectron2

    assert tool.main() == 0
    printed = capsys.readouterr().out
    assert "nothing to do" in printed
    assert f"{detectron2.__version__} in {Path(detectron2.__file__).parent}" in printed
    assert pip_calls == []


def test_without_torch_it_says_so_and_a_mere_folder_is_no_installation(tmp_path):
    (tmp_path / "detectron2").mkdir()
    # -S leaves site-packages out: an environment with neither torch nor Detectron2.
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "torch is not installed" in done.stderr and "pip install torch" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_hash_is_refused_before_any_of_its_code_runs(
    nothing_installed, only_folder, pip_calls, tmp_path, capsys
):
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='x', version='0.6')"
    write_sdist(only_folder / "pb1-detectron2-0.6.tar.gz", {"setup.py": setup})
    assert tool.main() == 1
    error = capsys.readouterr().err
    assert "SHA-256 differs" in error and tool.SHA256 in error
    assert not ran.exists()
    assert pip_calls == ["download"]


def test_the_hash_is_checked_by_the_tool_too(monkeypatch, tmp_path):
    file = tmp_path / "pb1-detectron2-0.6.tar.gz"
    file.write_bytes(b"something else")
    monkeypatch.setattr(tool, "pip", lambda *_: None)  # a pip that lets anything through
    with pytest.raises(tool.InstallError, match="has SHA-256 .* was expected"):
        tool.download(tmp_path)


def test_no_network_says_what_to_do(nothing_installed, pip_calls, monkeypatch, capsys):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nothing listens there
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert tool.main() == 1
    error = capsys.readouterr().err
    assert "could not download pb1-detectron2==0.6" in error
    assert "PIP_NO_INDEX=1 PIP_FIND_LINKS=" in error
    assert "Traceback" not in error
    assert pip_calls == ["download"]


def test_a_fix_that_no_longer_matches_stops_before_anything_is_installed(
    nothing_installed, pip_calls, monkeypatch, tmp_path, capsys
):
    first = tool.FIXES[0]
    changed = {f"detectron2/{first.file}": "import math\n"}
    sdist = write_sdist(tmp_path / "pb1-detectron2-0.6.tar.gz", changed)
    monkeypatch.setattr(tool, "download", lambda folder: sdist)
    assert tool.main() == 1
    error = capsys.readouterr().err
    assert f"detectron2/{first.file}: expected 1 times, but found 0 times" in error
    assert first.reason in error and "Nothing was installed" in error
    assert pip_calls == []


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The real release, unpacked; without a network there is none to test."""
    folder = tmp_path_factory.mktemp("release")
    try:
        sdist = tool.download(folder)
    except tool.InstallError as error:
        if "from versions: none" in str(error):  # what pip says when it saw no index at all
            pytest.skip("no network to get the released Detectron2 from")
        raise
    return tool.unpack(sdist, folder)


@pytest.fixture(scope="module")
def fixed(release):
    """The release with all fixes applied: each has matched as often as it says."""
    tool.apply_fixes(release)
    return release


def test_the_fixed_files_compile_and_need_nothing_that_is_gone(fixed):
    for file in {fix.file for fix in tool.FIXES}:
        text = (fixed / "detectron2" / file).read_text(encoding="utf-8")
        compile(text, file, "exec")
        for gone in ("pkg_resources", "Image.LINEAR", "np.str)", "np.int)", "np.int\n"):
            assert gone not in text, f"{file} still has {gone!r}"


def test_the_wheel_is_pure_and_works_from_anywhere(fixed, tmp_path):
    wheel = tool.build_wheel(fixed, tmp_path)
    assert wheel.name.endswith("-py3-none-any.whl")
    target = tmp_path / "target"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(target)
    zoo = [n for n in names if n.startswith("detectron2/model_zoo/configs/")]
    assert len(zoo) == 128  # every config of the tag v0.6
    assert any(n.startswith("detectron2/projects/point_rend/") for n in names)
    assert not any(n.endswith((".so", ".cpp")) or n.startswith(("tests", "tools")) for n in names)
    program = """if True:
        import detectron2.data, detectron2.engine, detectron2.evaluation, detectron2.export
        from detectron2 import model_zoo
        print(detectron2.__file__)
        print(model_zoo.get_config("common/train.py").train.max_iter)
        print(len(model_zoo.get_config("COCO-Detection/retinanet_R_50_FPN_1x.py").model))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "PYTHONPATH": str(target)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    where, max_iter, nodes = done.stdout.split()
    assert Path(where).is_relative_to(target)
    assert int(max_iter) == 90000 and int(nodes) > 5
