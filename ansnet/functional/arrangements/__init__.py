"""The sums of `ansnet.functional.conv` in other orders: the same numbers, sooner.

``conv2d`` and ``conv_transpose2d`` compute the formulas as they are written, whatever derivative or
transformation may follow. Where nothing but numbers is asked for (`only_numbers`), the same sums may be
taken in another order. Each arrangement is a module here. It says why it equals the formula, and a
function of it, ``suits…``, says for which shapes it was the quicker one when it was measured
(``benchmarks/shapes.py``). ``conv.py`` asks them in turn, and falls back on the formula.

==============  =======================================  ===============================================
module          of                                       where
==============  =======================================  ===============================================
`winograd`      z, x̄, w̄: fewer multiplications           3 × 3 windows, many channels, float32 and 64
`side_by_side`  z, x̄, w̄: all images as one wide image    small images; w̄ in half precision
`grouped`       x̄, w̄: each group, or channel, by itself  groups, above all of one channel (depthwise)
`patches`       w̄: a product with windows' contents      few channels; steps and gaps; windows apart;
                                                         on a GPU
==============  =======================================  ===============================================

``with plain_sums():`` does without all of them.
"""
