# Set these four lines, then: python tools/run_steps.py custom   (docs/own_data.md)
annotations = (
    ""  # a COCO JSON file, a folder with train.json, val.json and test.json, or a VOC folder
)
images = ""  # the folder that file names are relative to; empty: looked for near the annotations
name = ""  # of your data: letters, digits, _, - and . ; everything is written to output/<name>
machine = "cpu"  # cpu, 1gpu, 2gpu, 4gpu or 8gpu: a row of machines.py

# A fifth one, if you like: weights to start from, a checkpoint of this project, e.g. the published
# ones (docs/own_data.md). Only a supernet's weights halve the trainings: with none,
# or with those of a single network, they are twice as long.
weights = ""
