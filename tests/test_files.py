"""What a full disk means."""

from __future__ import annotations

import errno
import os

import pytest

from detnas_d2.errors import DetNASError
from detnas_d2.files import disk_errors, write_atomically


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("file", [None, "a/b.json"])
def test_errors_of_the_disk_say_what_to_do(code, file):
    match = rf"can't write to {file or 'the output folder'}: {os.strerror(code)}\..*--resume"
    with pytest.raises(DetNASError, match=match), disk_errors():
        raise OSError(code, os.strerror(code), file)


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "no"), ValueError("no")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, disk_errors():
        raise error
    assert caught.value is error


def test_a_real_write(tmp_path):
    with (
        pytest.raises(DetNASError, match="No space left"),
        disk_errors(),
        open("/dev/full", "w") as f,
    ):
        f.write("x")
    with disk_errors():
        write_atomically(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
