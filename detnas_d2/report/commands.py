"""The commands that train what a search found, as far as its folder may be trusted."""

from __future__ import annotations

from pathlib import Path

from omegaconf.errors import OmegaConfBaseException

import detnas_d2

from ..driver.commands import Retraining, retrainings
from ..engine import backbone_key
from ..errors import DetNASError
from .search_folder import SearchRecord


def retrainings_of(record: SearchRecord) -> list[Retraining]:
    """The calls of ``search.retrain``, without folders where its configs can't be read.

    Raises:
        ValueError: ``search.retrain`` is no list of files.
    """
    assert record.cfg is not None or record.space is not None
    if record.cfg is None:
        return [Retraining("STEP4_CONFIG", "model.backbone", "STEP4_FOLDER")]
    root = Path(detnas_d2.__file__).resolve().parents[1]
    named = record.step.setting("search.retrain") or []
    if not isinstance(named, list) or not all(isinstance(c, str) for c in named):
        raise ValueError(f"search.retrain is {named!r}; expected a list of config files")
    trust = record.may_run is None
    try:
        return retrainings(record.cfg, str(root), trust=trust, also=record.may_run or ())
    except (DetNASError, OmegaConfBaseException, AttributeError):  # configs that are not here
        return [Retraining(c, backbone_key(record.cfg)) for c in named or ["STEP4_CONFIG"]]
