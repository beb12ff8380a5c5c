"""What a training came to that ended, but as no success: it diverged, or is no better than guessing.

*Guessing* is to give every image the same probabilities, the best ones that do not look at it: with
the shares of the classes among the training images, s, and label smoothing ε over C classes,

    p = (1 − ε) s + ε / C,    loss of guessing G = −Σ p ln p,    accuracy max s.

For ten classes of equal size that is ln 10 = 2.303, and 10 %.

**Diverged** is a training after whose last epoch both losses are more than `MARGIN` times as high as
what needs no training: the training loss than the larger one of G and the untrained network's, and the
validation loss likewise. Both, since each alone is high for other reasons: the validation loss of a
network that has learned its training images by heart, or whose normalisations have seen a few batches
only; and the training loss, a mean over the epoch, after a bad beginning from which it has recovered.
The untrained network's, since an initialisation may begin far above G. The margin, since the first
steps of a training that is all right go up, too: in the recorded runs to 1.4 times.

**At chance** is a training of at least `STEPS` steps after whose last epoch both losses are still no
lower than G, and the validation accuracy is within three standard deviations of guessing's. So it is
with units that a step too long has put out for good: whatever is shown, the network answers the same.
And so it may be with a deep network that has not begun to learn yet, so that this is said, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from ansnet.training.history import Epoch
from ansnet.training.settings import Settings
from ansnet.training.stopped import lower_rate

MARGIN = 2.0
STEPS = 100


@dataclass(frozen=True)
class Guessing:
    """What guessing reaches."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Verdict:
    """That a training was no success.

    Attributes:
        word: ``"diverged"`` or ``"at chance"``.
        line: the figures.
        advice: what to do.
    """

    word: str
    line: str
    advice: str

    def __str__(self) -> str:
        return f"{self.word:<12} {self.line};\n{'':<12} {self.advice}"

    @property
    def exit_code(self) -> int:
        return 1 if self.word == "diverged" else 0


def guessing(targets: Tensor, classes: int, label_smoothing: float = 0.0) -> Guessing:
    """What guessing reaches among images.

    Args:
        targets: class indices, N.
        classes: their number.
        label_smoothing: of the loss.

    Example:
        >>> guessing(torch.tensor([0, 0, 0, 1]), classes=2)
        Guessing(loss=0.5623..., accuracy=0.75)
    """
    shares = torch.bincount(targets.cpu(), minlength=classes).double() / len(targets)
    answer = (1 - label_smoothing) * shares + label_smoothing / classes
    return Guessing(float(torch.special.entr(answer).sum()), float(shares.max()))


def judge(
    history: list[Epoch], guess: Guessing, steps: int, images: int, settings: Settings
) -> Verdict | None:
    """Whether a training diverged, or is no better than guessing; None if it is.

    Args:
        history: its epochs; epoch 0 is the untrained network, if it was measured.
        guess: what guessing reaches.
        steps: that it took.
        images: that it was validated by.
        settings: of the run.
    """
    last, first = history[-1], history[0]
    if last.epoch == 0:
        return None
    losses = f"training loss {last.train_loss:.4g}, validation loss {last.val_loss:.4g}"
    train, val = guess.loss, guess.loss
    untrained = ""
    if first.epoch == 0:
        train, val = max(train, first.train_loss), max(val, first.val_loss)
        untrained = f", of the untrained network {first.train_loss:.4g}"
    if last.train_loss > MARGIN * train and last.val_loss > MARGIN * val:
        advice = f"lower the rate, as --lr {lower_rate(settings):g}"
        if settings.gradient_clip_val is None:
            advice += ", or clip gradients, as --gradient-clip-val 1"
        return Verdict("diverged", f"{losses}; of guessing {guess.loss:.4g}{untrained}", advice)
    chance = sqrt(guess.accuracy * (1 - guess.accuracy) / images)
    no_lower = min(last.train_loss, last.val_loss) >= guess.loss
    if steps >= STEPS and no_lower and last.val_accuracy <= guess.accuracy + 3 * chance:
        return Verdict(
            "at chance",
            f"{losses}, no lower than that of guessing, {guess.loss:.4g}",
            f"train longer, or at another rate, as --lr {lower_rate(settings):g}",
        )
    return None
