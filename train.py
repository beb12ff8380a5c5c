# PYTHON_ARGCOMPLETE_OK
"""Train on CIFAR-10, or on shapes10, which needs no download::

    python train.py --model resnet9 --accelerator gpu
    python train.py --dataset shapes10
    tensorboard --logdir lightning_logs

``python train.py --help`` lists the options.
"""

import sys

from ansnet.commands.train import main

if __name__ == "__main__":
    sys.exit(main(prog="python train.py"))
