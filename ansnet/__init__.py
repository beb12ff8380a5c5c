"""ansnet: a convolutional network whose every operation is a documented formula.

Data moves one way: `ansnet.functional` → `ansnet.modules` → `ansnet.models` → `ansnet.training`.
"""

__version__ = "0.1.0"
