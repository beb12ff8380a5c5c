"""What a run shows in TensorBoard, one file a kind of thing (pictures: ``docs/tensorboard.md``)."""
