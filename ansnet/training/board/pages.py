"""Each thing that TensorBoard shows of a run, from numbers to its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from ansnet.training.board.confusion import confusion_picture
from ansnet.training.board.filters import filters_picture, first_filters
from ansnet.training.board.graph import trace_graph, write_graph
from ansnet.training.board.grid import as_seen, grid
from ansnet.training.board.histograms import histogram
from ansnet.training.board.layers import activations, numbered_parameters
from ansnet.training.board.layout import class_tags, layout
from ansnet.training.board.lettering import BLACK, GREY, RED, Pixels
from ansnet.training.board.predictions import Mistakes
from ansnet.training.board.tables import network_table, settings_table

Normalisation = Mapping[str, Sequence[float]] | None

MISTAKE_SIDE = 128  # pixels that one of them is about as high and wide


class Pages:
    """What is written to the file of one logger; every method writes one thing.

    Args:
        logger: Lightning's ``TensorBoardLogger``.
        classes: their names; None numbers them.
        normalisation: of the images, see `ansnet.training.board.grid.as_seen`.
    """

    def __init__(
        self, logger: Any, classes: Sequence[str] | None = None, normalisation: Normalisation = None
    ) -> None:
        self.writer = logger.experiment
        self.told = logger.hparams
        self.classes = classes
        self.normalisation = normalisation

    def names(self, num_classes: int) -> list[str]:
        if self.classes is None or len(self.classes) != num_classes:
            return [f"class {i}" for i in range(num_classes)]
        return list(self.classes)

    def name(self, index: int) -> str:
        if self.classes is None or index >= len(self.classes):
            return f"class {index}"
        return self.classes[index]

    def picture(self, tag: str, pixels: Pixels, step: int) -> None:
        self.writer.add_image(tag, pixels, step, dataformats="HWC")

    def settings(self) -> None:
        """What the logger was told by ``log_hyperparams``."""
        if self.told:
            self.writer.add_text("run/settings", settings_table(self.told), 0)

    def network(self, network: nn.Module, image_shape: tuple[int, ...]) -> None:
        self.writer.add_text("run/network", network_table(network, image_shape), 0)

    def graph(self, network: nn.Module, image_shape: tuple[int, ...]) -> None:
        write_graph(self.writer, trace_graph(network, image_shape))

    def layout(self, num_classes: int) -> None:
        self.writer.add_custom_scalars(layout(class_tags(self.names(num_classes))))

    def seen(self, images: Tensor, targets: Tensor, step: int) -> None:
        """Training images, N × C × H × W, and their N classes."""
        captions = [[(self.name(target), GREY)] for target in targets.tolist()]
        title = "the first training batch, as the network sees it"
        self.picture(
            "pictures/as_seen", grid(as_seen(images, self.normalisation), captions, title), step
        )

    def by_class(self, shares: Sequence[float], step: int) -> None:
        """The accuracy of each class, of those that have images."""
        for tag, share in zip(class_tags(self.names(len(shares))), shares, strict=True):
            if share >= 0:
                self.writer.add_scalar(tag, share, step)

    def confusion(self, counts: NDArray[Any], when: str, step: int) -> None:
        title = f"validation images {when}: what is taken for what"
        pixels = confusion_picture(counts, self.names(len(counts)), title)
        self.picture("pictures/confusion", pixels, step)

    def mistakes(self, mistakes: Mistakes, when: str, step: int) -> None:
        if len(mistakes.confidence) == 0:
            return
        figures = (mistakes.confidence, mistakes.predicted, mistakes.targets)
        captions = [
            [(f"{self.name(predicted)} {confidence:.0%}", RED), (f"true: {self.name(target)}", BLACK)]
            for confidence, predicted, target in zip(*(each.tolist() for each in figures), strict=True)
        ]
        images = as_seen(mistakes.images, self.normalisation)
        title = f"the most confident mistakes {when}"
        self.picture("pictures/mistakes", grid(images, captions, title, side=MISTAKE_SIDE), step)

    def filters(self, network: nn.Module, image_shape: tuple[int, ...], when: str, step: int) -> None:
        filters = first_filters(network, image_shape)
        if filters is not None:
            title = f"first layer {when}"
            self.picture("pictures/first_filters", filters_picture(filters, title), step)

    def weights(self, network: nn.Module, step: int) -> None:
        for name, parameter in numbered_parameters(network):
            self.histogram(f"weights/{name}", parameter, step)

    def gradients(self, network: nn.Module, step: int) -> None:
        for name, parameter in numbered_parameters(network):
            if parameter.grad is not None:
                self.histogram(f"gradients/{name}", parameter.grad, step)

    def activations(self, network: nn.Module, images: Tensor, step: int) -> None:
        for name, counted in activations(network, images).items():
            counted.write(self.writer, f"activations/{name}", step)

    def histogram(self, tag: str, numbers: Tensor, step: int) -> None:
        counted = histogram(numbers)
        if counted is not None:
            counted.write(self.writer, tag, step)
