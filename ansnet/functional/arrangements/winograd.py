r"""Convolution with 3 × 3 windows in a quarter of the multiplications: another order of `conv`'s sums.

Let d be n = m + 2 numbers in a row, g a window of 3. The m numbers ``y[k] = Σ_i d[k + i] · g[i]``
take 3m multiplications one by one. Read as coefficients of polynomials they are a part of a product,
and a product of polynomials is known from its values at n points, where it costs one multiplication
each. There are matrices A, B, G, each fixed by the points, so that ::

    y = Aᵀ ((B d) ⊙ (G g))            (m values from n multiplications)

and for an n × n tile d, a 3 × 3 window g and m × m results y, in both directions::

    y = Aᵀ ((B d Bᵀ) ⊙ (G g Gᵀ)) A    (m² values from n² multiplications, not 9m²)

For m = 4 that is 36 for 144. A convolution sums over channels c, which commutes with Aᵀ: with x cut
into tiles t that overlap by two rows and columns, and * an index of the n² elements,

    V[*,t,c] = (B x_t[c] Bᵀ)*      U[*,c,f] = (G w[f,c] Gᵀ)*
    z_t[f]   = Aᵀ (Σ_c V[*,t,c] · U[*,c,f]) A

The weight gradient is its transpose by w::

    Z[*,t,f] = (A z̄_t[f] Aᵀ)*
    w̄[f,c]   = Gᵀ (Σ_t V[*,t,c] · Z[*,t,f]) G

and the input gradient is a convolution of z̄ by the windows turned round, so the first formula again.
The sums over c and over t are n² products of matrices. The transforms are products too, by the
Kronecker squares of A, B and G, since (B d Bᵀ)* = (B ⊗ B) d*. Taking a few images at a time, `TILES`
tiles, in memory that is used again, everything stays in the cache.

The sums are those of `ansnet.functional.conv` in exact arithmetic; rounding is another. With ε = 2⁻²⁴,
and with |·| taken of each element, the error of each of a tile's m² results is, to first order, at most

    (C + 64) · ε · |A|ᵀ (Σ_c (|B| |x_t[c]| |B|ᵀ) ⊙ (|G| |w[f,c]| |G|ᵀ)) |A|

for so many operations in a row are rounded: 26 in B d Bᵀ and Aᵀ(…)A each, matrices included, 10 in
G g Gᵀ, C sums and products, b. (Of w̄ the sum is over tiles.) So it is relative to the largest element
of the tile, not to those that a result is made of: beside a spike in its tile, a small result has lost
the digits that the spike's has. As a whole z and x̄ have, of random numbers, a relative error of 0.8 to
1.5e-6 in float32 for 64 to 512 channels, 1.2 to 2.3 times that of PyTorch's kernels for channels-last
memory; with transforms in float64 95 % of it are left. The points 0, ±√½, ±√2 and ∞ leave half of the
error of the customary 0, ±1, ±2, ∞. ``docs/accuracy.md`` has the measurements.

With `ansnet.functional.plain_sums` the formulas are computed as they are written::

    with plain_sums():
        z = conv2d(x, w)  # and the gradients of this z

Shapes, with Q = M + 2P − 2 the height and width of z: as in `ansnet.functional.conv`.

Source: Winograd, *Arithmetic complexity of computations* (1980), section IV; Lavin and Gray, *Fast
algorithms for convolutional neural networks* (2016), equations 8 to 13. The matrices are those of the
Toom-Cook construction (Lagrange's interpolation); for the choice of points: Barabasz et al., *Error
analysis and improving the accuracy of Winograd convolution* (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil, prod, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]

WINDOW = 3
TILES = 128  # transformed at once: with 64 channels in float32 36 · 128 · 64 numbers are 1.2 MB
SUMMED_TILES = 64  # at once, for w̄, which sums over them: the shorter the sums the less they round
POINTS = {4: (0.0, sqrt(0.5), -sqrt(0.5), sqrt(2.0), -sqrt(2.0)), 2: (0.0, 1.0, -1.0)}


def suits(x: Tensor, w: Tensor, num_filters: int, stride: Pair, dilation: Pair, groups: int) -> bool:
    """Whether multiplications saved in a convolution of x outweigh the transforms, as measured.

    Those of x by many filters and channels, those of the windows by many tiles. In contiguous memory
    they do not outweigh the precision lost: PyTorch's kernel for it is four times as precise as that
    for channels-last.
    """
    if not is_of_this_kind(x, w.shape[2:], stride, dilation, groups):
        return False
    C = x.shape[1]
    large = min(C, num_filters) >= 128 and max(C, num_filters) >= 256 and number_of_tiles(x) >= 64
    return large and min(x.shape[2:]) > 2 and x.is_contiguous(memory_format=torch.channels_last)


def suits_weight_gradient(
    x: Tensor, grad_z: Tensor, window_size: Pair, stride: Pair, dilation: Pair, groups: int
) -> bool:
    """The same of the weight gradient, whose other arrangements are slower."""
    if not is_of_this_kind(x, window_size, stride, dilation, groups):
        return False
    many = min(x.shape[1], grad_z.shape[1]) >= 64 and number_of_tiles(grad_z) >= 16
    return many and min(grad_z.shape[2:]) > 2


def is_of_this_kind(
    x: Tensor, window_size: Sequence[int], stride: Pair, dilation: Pair, groups: int
) -> bool:
    """Whether windows are 3 × 3, S = D = 1, without groups; and numbers not in half precision."""
    plain = tuple(window_size) == (3, 3) and stride == dilation == (1, 1) and groups == 1
    return plain and x.dtype in (torch.float32, torch.float64)


def number_of_tiles(x: Tensor) -> int:
    """In all images, at 4 × 4 results each."""
    return len(x) * ceil(x.shape[2] / 4) * ceil(x.shape[3] / 4)


def convolve(x: Tensor, w: Tensor, b: Tensor | None, padding: Pair) -> Tensor:
    """The convolution z = conv2(x, w, b; 1, P, 1), in the memory format of x."""
    cut = Tiling(x, padding)
    A, _, G = transforms(cut.m, x.dtype)
    num_filters, C = w.shape[:2]
    U = (G @ w.permute(2, 3, 1, 0).reshape(len(G.T), -1)).view(-1, C, num_filters)
    z = x.new_empty(len(x), cut.rows * cut.m, cut.columns * cut.m, num_filters)
    for images in cut.groups():
        V = cut.transformed_tiles(images)
        sums = cut.memory("sums", len(V), V.shape[1], num_filters)
        torch.bmm(V, U, out=sums)
        results = cut.memory("results", len(A.T), sums[0].numel())
        torch.mm(A.T, sums.flatten(1), out=results)
        tiles = cut.side_by_side(z[images])
        if b is None:
            tiles.copy_(results.view(tiles.shape))
        else:
            torch.add(results.view(tiles.shape), b, out=tiles)
    z = z[:, : cut.height, : cut.width].permute(0, 3, 1, 2)
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return z.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def input_gradient(grad_z: Tensor, w: Tensor, padding: Pair) -> Tensor:
    """x̄: the convolution of z̄ by the windows turned round, with the rest of the border."""
    rest = WINDOW - 1 - padding[0], WINDOW - 1 - padding[1]
    return convolve(grad_z, w.flip(2, 3).transpose(0, 1), None, rest)


def weight_gradient(x: Tensor, grad_z: Tensor, padding: Pair) -> Tensor:
    """w̄[f,c] = Σ_n conv2(x[n,c], z̄[n,f]; 1, P, 1)."""
    cut = Tiling(x, padding, SUMMED_TILES)
    A, _, G = transforms(cut.m, x.dtype)
    C, num_filters = x.shape[1], grad_z.shape[1]
    below, right = cut.rows * cut.m - cut.height, cut.columns * cut.m - cut.width
    rows = grad_z.permute(0, 2, 3, 1)
    if below or right:
        rows = F.pad(rows, (0, 0, 0, right, 0, below))
    total = x.new_zeros(len(A), C, num_filters)
    for images in cut.groups():
        V = cut.transformed_tiles(images)
        tiles = cut.side_by_side(rows[images])
        windows = cut.memory("windows", *tiles.shape).copy_(tiles)
        Z = cut.memory("Z", len(A), V.shape[1], num_filters)
        torch.mm(A, windows.view(len(A.T), -1), out=Z.flatten(1))
        total.baddbmm_(V.transpose(1, 2), Z)
    return (G.T @ total.flatten(1)).view(WINDOW, WINDOW, C, num_filters).permute(3, 2, 0, 1)


class Tiling:
    """How the images x are cut into tiles, and the memory that each group of images uses again.

    Attributes:
        m: height and width of a tile's results.
        height, width: of z.
        rows, columns: of tiles in an image.
        images_at_once: in a group.
    """

    def __init__(self, x: Tensor, padding: Pair, tiles_at_once: int = TILES) -> None:
        (P_h, P_w), (M_h, M_w) = padding, x.shape[2:]
        self.height, self.width = M_h + 2 * P_h - WINDOW + 1, M_w + 2 * P_w - WINDOW + 1
        self.m = m = 4 if min(self.height, self.width) > 2 else 2
        self.rows, self.columns = ceil(self.height / m), ceil(self.width / m)
        below, right = P_h + self.rows * m - self.height, P_w + self.columns * m - self.width
        self.x = x.permute(0, 2, 3, 1)
        self.border = 0, 0, P_w, right, P_h, below
        self.images_at_once = max(1, tiles_at_once // (self.rows * self.columns))
        self.buffers: dict[str, Tensor] = {}

    def groups(self) -> list[slice]:
        """The images, a few at a time."""
        size = self.images_at_once
        return [slice(start, start + size) for start in range(0, len(self.x), size)]

    def memory(self, name: str, *shape: int) -> Tensor:
        """A tensor of that shape, in the place of the former one of that name."""
        size = prod(shape)
        if name not in self.buffers:
            self.buffers[name] = self.x.new_empty(size)
        return self.buffers[name][:size].view(shape)

    def transformed_tiles(self, images: slice) -> Tensor:
        """V, n² × tiles × C."""
        _, B, _ = transforms(self.m, self.x.dtype)
        n = self.m + WINDOW - 1
        padded = F.pad(self.x[images], self.border)
        tiles = padded.unfold(1, n, self.m).unfold(2, n, self.m).permute(4, 5, 0, 1, 2, 3)
        together = self.memory("tiles", *tiles.shape).copy_(tiles)
        V = self.memory("V", n * n, tiles[0, 0, ..., 0].numel(), tiles.shape[-1])
        torch.mm(B, together.view(n * n, -1), out=V.flatten(1))
        return V

    def side_by_side(self, rows: Tensor) -> Tensor:
        """View images × height × width × F as m × m × images × rows × columns × F."""
        tiles = rows.unflatten(2, (self.columns, self.m)).unflatten(1, (self.rows, self.m))
        side_by_side: Tensor = tiles.permute(2, 4, 0, 1, 3, 5)
        return side_by_side


@cache
def transforms(m: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """The Kronecker squares of A (n² × m²), B (n² × n²) and G (n² × 9).

    In one dimension row p of A and G holds the powers of point p, in G divided by what Lagrange's
    polynomial of p is at p, and row p of B the coefficients of that polynomial, undivided. The point
    ∞ stands for the highest coefficient, and B has the product of all (x − p) there.
    """
    points = POINTS[m]
    A, B, G = [], [], []
    for p in points:
        others = [q for q in points if q != p]
        A.append([p**power for power in range(m)])
        B.append([*coefficients(others), 0.0])
        G.append([p**power / prod(p - q for q in others) for power in range(WINDOW)])
    A.append([0.0] * (m - 1) + [1.0])
    B.append(coefficients(points))
    G.append([0.0] * (WINDOW - 1) + [1.0])
    return square(A, dtype), square(B, dtype), square(G, dtype)


def square(rows: list[list[float]], dtype: torch.dtype) -> Tensor:
    """Kronecker's: the transform of rows and of columns at once."""
    matrix = torch.tensor(rows, dtype=torch.float64, device="cpu")  # whatever the default may be
    return torch.kron(matrix, matrix).to(dtype)


def coefficients(roots: Sequence[float]) -> list[float]:
    """Of the polynomial Π (x − root), the constant first."""
    product = [1.0]
    for root in roots:
        product = [a - root * b for a, b in zip([0.0, *product], [*product, 0.0], strict=True)]
    return product
