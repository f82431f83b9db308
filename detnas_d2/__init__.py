"""DetNAS: one-shot architecture search of detector backbones, on Detectron2."""

__version__ = "0.1.0"
