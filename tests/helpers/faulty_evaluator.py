"""An evaluator that misbehaves on the candidates of some APs, once for each fault it is given."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from faulty_fitness import attempts, leave, misbehave

from detnas_d2.evaluation import FastCOCOEvaluator


class FaultyEvaluator(FastCOCOEvaluator):
    """
    Args:
        folder: with faults.json, {AP as text: [fault, ...]}; "nothing" stands for no detection.
            Each evaluation leaves a file there, which holds the process id.
    """

    def __init__(self, dataset_name: str, folder: str, output_dir: str | None) -> None:
        super().__init__(dataset_name, output_dir=output_dir)
        self.folder = Path(folder)

    def evaluate(self) -> dict[str, Any]:
        result = super().evaluate()
        value = result["bbox"]["AP"]
        attempt = len(attempts(self.folder, [value]))
        leave(self.folder, f"{value}.{attempt}")
        faults = json.loads((self.folder / "faults.json").read_text()).get(str(value), [])
        for fault in faults[attempt : attempt + 1]:
            misbehave(self.folder, fault)
            if fault == "nan":
                result["bbox"]["AP"] = math.nan
            if fault == "nothing":
                self.reset()
                return {}
        return result
