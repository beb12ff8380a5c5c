"""Fashion-MNIST, through torchvision: 60,000 images of clothes to train, 10,000 to validate.

They are grey and 28 × 28. They get a border of two black pixels, which is their background, and three
equal channels. Source: Xiao et al., *Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms* (2017).
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import torch.nn.functional as F

from ansnet.compatibility import torchvision
from ansnet.data.batches import Images
from ansnet.data.datamodule import DataError
from ansnet.data.download import is_whole
from ansnet.data.downloaded import GZIP, DownloadedDataModule, remedy
from ansnet.files import whole

FashionMNIST = torchvision.datasets.FashionMNIST
PADDING = 2  # pixels, from 28 to 32


class FashionMNISTDataModule(DownloadedDataModule):
    """Fashion-MNIST, from where it lies or from the network.

    Args:
        data_dir: the folder that holds ``FashionMNIST/raw``, in which its four files are, as
            ``train-images-idx3-ubyte``, or packed, with ``.gz`` at the end.
        mirror: the URL of the folder to download the packed files from.
        **options: as `ansnet.data.datamodule.ImageDataModule`.

    Raises:
        DataError: (in ``prepare_data``) a file is missing, and the download failed; or (when the images
            are read) a file is damaged.
    """

    title = "Fashion-MNIST"
    is_recognised_by = "FashionMNIST/raw"
    classes = tuple(FashionMNIST.classes)
    is_measured = True

    @property
    def raw(self) -> Path:
        return self.data_dir / "FashionMNIST" / "raw"

    def prepare_files(self) -> None:
        for name, md5 in FashionMNIST.resources:
            packed = self.raw / name
            if packed.with_suffix("").exists():
                continue
            if not is_whole(packed, md5):
                self.fetch(packed, [f"{host}{name}" for host in FashionMNIST.mirrors], md5, GZIP)
            unpack(packed)

    def subset(self, train: bool) -> Images:
        try:
            read = FashionMNIST(self.data_dir, train=train)
        except (AssertionError, RuntimeError, ValueError) as error:  # there is no checksum of them
            raise DataError(f"Fashion-MNIST is damaged: {error}; {remedy(self.raw)}") from error
        grey = F.pad(read.data, (PADDING,) * 4)
        return Images(grey[..., None].repeat(1, 1, 1, 3), read.targets)


def unpack(packed: Path) -> None:
    """Unpack ``name.gz`` to ``name``, which is there only when it is whole."""
    unpacked = packed.with_suffix("")
    with whole(unpacked) as part, gzip.open(packed) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)
