"""`ansnet.training.board.layout`."""

from __future__ import annotations

import re

from ansnet.training.board.layout import class_tags, layout


def test_a_tag_is_a_name_that_tensorboard_takes() -> None:
    assert class_tags(["cat", "aquarium fish", "b/c", "kočka", "?"]) == [
        "val_by_class/cat",
        "val_by_class/aquarium_fish",
        "val_by_class/b_c",
        "val_by_class/kočka",
        "val_by_class/class",
    ]


def test_classes_of_the_same_name_are_told_apart() -> None:
    tags = class_tags(["cat", "dog", "cat", "?", "!"])
    assert len(set(tags)) == 5
    assert tags[1] == "val_by_class/dog"


def test_each_class_is_in_one_chart_of_at_most_ten() -> None:
    for classes in (1, 10, 11, 100):
        tags = class_tags([f"class {i}" for i in range(classes)])
        charts = list(layout(tags)["classes"].values())
        assert all(kind == "Multiline" for kind, _ in charts)
        shown = [
            [tag for tag in tags if any(re.match(pattern, tag) for pattern in patterns)]
            for _, patterns in charts
        ]
        assert [tag for chart in shown for tag in chart] == tags
        assert max(map(len, shown)) <= 10


def test_training_and_validation_share_a_chart_and_no_step_is_in_it() -> None:
    _, patterns = layout([])["training and validation"]["loss"]
    tags = ("train/loss", "val/loss", "train/loss_step")
    assert [tag for tag in tags if any(re.match(each, tag) for each in patterns)] == list(tags[:2])
