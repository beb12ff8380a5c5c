"""SVHN, digits of house numbers, through torchvision: 73,257 to train, 26,032 to validate.

The digit meant is the one in the middle; its neighbours reach into the image. The 531,131 easier ones
that were published as extra images are left out. Source: Netzer et al., *Reading digits in natural
images with unsupervised feature learning* (2011).
"""

from __future__ import annotations

from importlib.util import find_spec

import torch

from ansnet.compatibility import torchvision
from ansnet.data.batches import Images
from ansnet.data.datamodule import DataError
from ansnet.data.download import is_whole
from ansnet.data.downloaded import DownloadedDataModule, remedy

SVHN = torchvision.datasets.SVHN
MATLAB = b"MATLAB"  # what a MAT-file begins with


class SVHNDataModule(DownloadedDataModule):
    """SVHN, from where it lies or from the network; it is read with scipy.

    A mirrored digit is none, or another: `mirrors` is False.

    Args:
        data_dir: the folder that holds ``train_32x32.mat`` and ``test_32x32.mat``.
        mirror: the URL of the folder to download them from.
        **options: as `ansnet.data.datamodule.ImageDataModule`.

    Raises:
        DataError: (in ``prepare_data``) scipy is missing; a file is damaged; or there is none and the
            download failed.
    """

    title = "SVHN"
    is_recognised_by = "train_32x32.mat and test_32x32.mat"
    classes = tuple("0123456789")
    mirrors = False
    is_measured = True

    def prepare_files(self) -> None:
        if find_spec("scipy") is None:
            raise DataError("SVHN is read with scipy, which is missing: pip install scipy")
        for subset in ("train", "test"):
            url, name, md5 = SVHN.split_list[subset]
            path = self.data_dir / name
            if not path.exists():
                self.fetch(path, [url], md5, MATLAB)
            elif not is_whole(path, md5):
                raise DataError(
                    f"SVHN is damaged: {path} does not have the published md5 checksum {md5}; "
                    f"{remedy(path)}"
                )

    def subset(self, train: bool) -> Images:
        read = SVHN(self.data_dir, split="train" if train else "test")
        pixels = torch.from_numpy(read.data).permute(0, 2, 3, 1).contiguous()
        return Images(pixels, torch.from_numpy(read.labels))
