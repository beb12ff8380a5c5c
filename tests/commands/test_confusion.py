"""`ansnet.commands.confusion`."""

from __future__ import annotations

from ansnet.commands.confusion import MOST_FREQUENT, by_classes
from ansnet.training.evaluation import Evaluation


def evaluation(confusion: list[list[int]]) -> Evaluation:
    return Evaluation({}, 0.0, confusion, 0.0, 0.0)


def test_few_classes_are_a_table() -> None:
    lines = by_classes(["cat", "dog", "none"], evaluation([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert [line.split() for line in lines] == [
        ["accuracy", "taken", "for"],
        ["cat", "dog", "none"],
        ["cat", "75.00%", "3", "1", "·"],
        ["dog", "100.00%", "·", "4", "·"],
        ["none", "–", "·", "·", "·"],
    ]
    assert len({len(line) for line in lines[1:]}) == 1


def test_a_hundred_classes_are_the_best_the_worst_and_what_is_mixed_up() -> None:
    confusion = [[0] * 100 for _ in range(100)]
    for i in range(100):
        confusion[i][i] = 100 - i
        confusion[i][(i + 1) % 100] = i
    lines = by_classes([f"class{i}" for i in range(100)], evaluation(confusion))
    assert lines[1].split() == ["class0", "100.00%", "class99", "1.00%"]
    assert lines[5].split() == ["class4", "96.00%", "class95", "5.00%"]
    start = lines.index("most frequent confusions") + 1
    assert lines[start].split() == ["99", "×", "class99", "taken", "for", "class0"]
    assert lines[start + 1].split() == ["98", "×", "class98", "taken", "for", "class99"]
    assert len(lines[start:]) == MOST_FREQUENT
    assert max(map(len, lines)) < 80


def test_where_nothing_is_mixed_up_that_is_said() -> None:
    perfect = [[int(i == j) for j in range(13)] for i in range(13)]
    assert by_classes(list("abcdefghijklm"), evaluation(perfect))[-1] == (
        "nothing is taken for anything else"
    )
