"""CIFAR-100, through torchvision: 100 classes of 500 images to train and 100 to validate each.

The classes are the fine ones, not the twenty that they are grouped into. Source: Krizhevsky, *Learning
multiple layers of features from tiny images* (2009).
"""

from __future__ import annotations

from ansnet.compatibility import torchvision
from ansnet.data.cifar10 import CIFAR10DataModule

CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
worm
"""


class CIFAR100DataModule(CIFAR10DataModule):
    """CIFAR-100, from where it lies or from the network.

    Args:
        data_dir: the folder that holds ``cifar-100-python`` or ``cifar-100-python.tar.gz``, or
            ``cifar-100-python`` itself; see `CIFAR10DataModule`, also for the others.
    """

    title = "CIFAR-100"
    is_recognised_by = "cifar-100-python or cifar-100-python.tar.gz"
    source = torchvision.datasets.CIFAR100
    classes = tuple(CLASSES.split())
    is_measured = True
