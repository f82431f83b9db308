"""Devices and processes of a run that this machine does not have or can't connect."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import torch
from omegaconf import DictConfig

from ..errors import ConfigError
from ..rules import DEVICE, why_wrong


@dataclass(frozen=True)
class Processes:
    """What Detectron2's `launch` is told.

    Args:
        gpus: processes on each machine.
        machines: how many take part.
        rank: of this machine.
        url: where the processes meet.
    """

    gpus: int = 1
    machines: int = 1
    rank: int = 0
    url: str = "auto"

    @property
    def total(self) -> int:
        """At least 1, as `launch` takes --num-gpus 0."""
        return max(self.gpus, 1) * max(self.machines, 1)

    def problems(self) -> Iterator[str]:
        """Options that can't be, and an address that can't be used."""
        if self.gpus < 0:
            yield f"--num-gpus is {self.gpus}; expected 0 or more."
        if self.machines < 1:
            yield f"--num-machines is {self.machines}; expected 1 or more."
        elif not 0 <= self.rank < self.machines:
            yield (
                f"--machine-rank is {self.rank}; expected 0 to {self.machines - 1}, a different "
                f"one on each of the {self.machines} machine(s)."
            )
        elif self.total > 1:
            yield from self._address()

    def _address(self) -> Iterator[str]:
        example = "expected tcp://HOST:PORT, the same on all machines"
        if self.url == "auto":
            if self.machines > 1:
                yield f"--dist-url auto is for one machine; {example}."
            return
        if re.fullmatch(r"(file|env)://.*", self.url):
            return
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not self.url.startswith("tcp://") or not host or not port:
            yield f"--dist-url is {self.url!r}; {example}, e.g. tcp://127.0.0.1:29500."
            return
        try:
            socket.getaddrinfo(host, port)
            if self.rank == 0:
                socket.create_server(("", port)).close()
        except socket.gaierror as e:
            yield f"--dist-url is {self.url!r}, but the host {host!r} is not known here ({e})."
        except OSError as e:
            yield (
                f"--dist-url is {self.url!r}, but port {port} can't be had ({e.strerror}): it is "
                "in use, perhaps by processes of an earlier run; stop them, or give another port "
                "(one machine: --dist-url auto)."
            )


ONE = Processes()


def is_cuda(cfg: DictConfig) -> bool:
    """Whether ``train.device`` is a GPU."""
    return str(cfg.train.device).startswith("cuda")


def visible_gpus(for_workers: bool = False) -> int:
    """How many GPUs PyTorch sees here and can use.

    Args:
        for_workers: other processes will use them, and this one is not to touch CUDA: they are
            counted alone, and a driver that fits them ill is found in the workers.
    """
    return torch.cuda.device_count() if for_workers or torch.cuda.is_available() else 0


def gpu_name(device: str) -> str:
    """What PyTorch calls a GPU, asked in a process of its own: the answer takes a CUDA context.

    Raises:
        ConfigError: PyTorch can't use the GPU.
    """
    ask = "import sys, torch; print(torch.cuda.get_device_name(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", ask, device], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(
            f"train.device is {device!r}, which PyTorch can't use ({reason}); mend its driver, or "
            "set train.device=cpu."
        )
    return done.stdout.strip()


def check_device(device: str) -> None:
    """
    Raises:
        ConfigError: a --device that PyTorch does not know or see.
    """
    if problem := _wrong_name("--device", device, visible_gpus()):
        raise ConfigError(problem)


def _wrong_name(what: str, device: str, found: int) -> str:
    """Why `what` can't be that; "" if it can. `found`: GPUs."""
    if not DEVICE.allows(device):
        return why_wrong(what, device, DEVICE)
    if device == "cpu" or int(device.partition(":")[2] or 0) < found:
        return ""
    if found == 0:
        return f"{what} is {device!r}, but PyTorch sees no GPU here; for a CPU: {what}=cpu."
    return f"{what} is {device!r}, but PyTorch sees {found} GPU(s) here, from cuda:0 on."


def wrong_device(cfg: DictConfig, processes: int, workers: int) -> Iterator[str]:
    """A device that PyTorch does not know or see, or has too few of.

    Args:
        cfg: the config, with `train.device` and `train.amp`.
        processes: on this machine, each with a device of its own.
        workers: of a search on this machine, likewise.
    """
    device, found = str(cfg.train.device), visible_gpus(for_workers=workers > 0)
    if problem := _wrong_name("train.device", device, found):
        yield problem
    elif device == "cpu":
        if cfg.train.get("amp", {}).get("enabled"):
            yield "train.amp.enabled needs a GPU; on a CPU: train.amp.enabled=False."
    elif processes > found:
        yield f"--num-gpus is {processes}, but PyTorch sees {found} GPU(s) here."
    elif workers > found:
        yield (
            f"search.executor.workers is {workers}, each with a GPU, but PyTorch sees {found} "
            f"here; set it to {found} at most, or search.executor.address to a cluster's."
        )
