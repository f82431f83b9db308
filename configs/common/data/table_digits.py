"""Small and large handwritten digits of ten classes over photographs, 128x128."""

from .digits import dataloader

dataloader.train.dataset.names = "table_digits_train"
dataloader.calibration.dataset.names = "table_digits_train"
dataloader.test.dataset.names = "table_digits_val"
dataloader.final_test = "table_digits_test"
