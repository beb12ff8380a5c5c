"""Training: the LightningModule, its callbacks, the recipes, and the run from settings to files.

Import from the files: `ansnet.training.settings` is light, the others bring Lightning along.
"""
