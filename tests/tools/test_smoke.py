"""tools/smoke.py: what it finds wrong with its tables, with scripts and with their last lines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import smoke
from faulty_fitness import is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]
MAIN = 'if __name__ == "__main__":\n    main()\n'


def test_no_script_is_forgotten():
    assert smoke.forgotten(ROOT, smoke.RUN, smoke.ELSEWHERE) == []
    found = smoke.scripts(ROOT)
    some = ["benchmarks/bm_space.py", "benchmarks/gpu.sh", "projects/DetNAS/reproduce.py"]
    assert {*some} < {*found}
    assert "tools/tiny_steps.py" not in found


@pytest.fixture
def tree(tmp_path):
    """write(**files): scripts of a repository."""
    for folder in smoke.FOLDERS:
        (tmp_path / folder).mkdir()

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("run", "elsewhere", "wrong"),
    [
        (["tools/a.py"], {"tools/b.sh": "test_b"}, []),
        (["tools/a.py"], {}, ["tools/b.sh: nothing runs it"]),
        ([], {"tools/b.sh": "test_b"}, ["tools/a.py: nothing runs it"]),
        (["tools/a.py", "tools/b.sh", "tools/module.py"], {}, ["tools/module.py: there is no"]),
        (["tools/a.py"], {"tools/b.sh": "test_c"}, ["tools/b.sh: test_c, which is to run it"]),
        (["tools/a.py"], {"tools/b.sh": "none"}, ["tools/b.sh: none, which is to run it"]),
    ],
)
def test_tables(tree, run, elsewhere, wrong):
    files = {"tools/a.py": MAIN, "tools/b.sh": "", "tools/module.py": "x = 1\n"}
    root = tree({**files, "test_b": "runs b.sh", "test_c": "runs nothing"})
    found = smoke.forgotten(root, dict.fromkeys(run, ""), elsewhere)
    assert len(found) == len(wrong)
    assert all(x.startswith(y) for x, y in zip(found, wrong, strict=True))


GOOD = {"name": "x", "ratio": 2.0, "versions": {"torch": "2"}, "machine": "one"}


@pytest.mark.parametrize(
    ("last", "wrong"),
    [
        (json.dumps(GOOD), ""),
        (json.dumps({**GOOD, "name": "y"}), "is not the JSON object of 'x'"),
        (json.dumps({**GOOD, "machine": ""}), "lacks machine"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "ratio"}), "lacks figures"),
        (json.dumps({**GOOD, "ratio": float("nan")}), "no JSON object"),
        (json.dumps([GOOD]), "is not the JSON object"),
        ("done", "no JSON object"),
    ],
)
def test_the_last_line_of_a_benchmark(last, wrong):
    found = smoke.broken_contract("benchmarks/bm_x.py", f"{json.dumps(GOOD)}\n{last}\n")
    assert wrong in found and bool(wrong) == bool(found)
    assert smoke.broken_contract("tools/x.py", last) == ""


def test_what_fails_is_named_and_its_last_lines_are_shown(tree, capsys):
    root = tree(
        {
            "tools/good.py": "import sys\nassert sys.argv[1:] == ['--tiny', '1']\n",
            "tools/raises.py": "print(*range(50), sep='\\n')\nraise TypeError('not so')\n",
            "benchmarks/bm_x.py": "print('done')\n",
            "benchmarks/bm_y.py": f"import sys\nprint({json.dumps({**GOOD, 'name': 'y'})!r})\n"
            "print('a warning', file=sys.stderr)\n",
            "benchmarks/sh.sh": "#!/bin/sh\nexit 3\n",
        }
    )
    wrong = ["benchmarks/bm_x.py", "benchmarks/sh.sh", "tools/raises.py"]
    jobs = [("tools/good.py", "--tiny 1")]
    jobs += [(name, "") for name in ["benchmarks/bm_y.py", *wrong]]
    assert sorted(smoke.run(jobs, root, jobs=2)) == wrong
    printed = capsys.readouterr().out
    assert re.search(r"tools/good.py: \d+ s\n(?! )", printed)
    assert "    FAILED: it ended with status 1\n    39\n" in printed
    assert "    TypeError: not so\n" in printed
    assert "    FAILED: its last line is no JSON object" in printed
    assert "    FAILED: it ended with status 3" in printed


def test_what_hangs_is_ended_with_all_that_it_started(tree, capsys, monkeypatch):
    monkeypatch.setattr(smoke, "TOO_LONG", 5.0)
    root = tree({"tools/hangs.sh": "#!/bin/sh\nsleep 600 & echo $! >pid\nwait\n"})
    assert smoke.run([("tools/hangs.sh", "")], root, jobs=1) == ["tools/hangs.sh"]
    assert "    FAILED: it took more than 5 s" in capsys.readouterr().out
    pid = int((root / "pid").read_text())
    wait_until(lambda: not is_alive(pid), 20)
