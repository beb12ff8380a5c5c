"""Capabilities: the function as a part of another, in which its input or its gradient is used again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from ansnet.testing.case import Case, Function, NotApplicable, differentiate, random_like
from ansnet.testing.comparison import assert_same
from ansnet.testing.derivatives import real_function
from ansnet.testing.transforms import FACTORS, fresh_compiler

STEP = 0.1
# how PyTorch 2.14 begins what it says of any Function that is given one tensor twice
REFUSED_TWICE = "autograd.Function.apply: duplicate tensor input"
Loss = Callable[..., Tensor]


def gradient_through_vmap(case: Case) -> None:
    """`grad` through `vmap` of a step of gradient descent (meta-learning) gives what a loop gives.

    Each input is in turn the weight w of a loss; the others, and a factor in the loss, are a batch of
    examples e. After a step w − 0.1 · ∂loss/∂w for each example, the mean of the losses is
    differentiated by w: grad(w ↦ mean(vmap(e ↦ loss(w − 0.1 · grad(loss)(w, e), e)))).
    """
    function, inputs = real_function(case)
    if case.written and len(inputs) > 1:
        raise NotApplicable("it changes an input in place, which cannot take the numbers of many")
    targets = random_like(function(*inputs))
    factors = torch.tensor(FACTORS, dtype=case.precision)
    for index, (name, weight) in enumerate(zip(case.sample.names, inputs, strict=True)):
        others = [tensor for tensor in inputs if tensor is not weight]
        examples = [torch.stack([tensor * factor for factor in FACTORS]) for tensor in others]

        def loss(w: Tensor, factor: Tensor, *others: Tensor, index: int = index) -> Tensor:
            weighted = zip(function(*others[:index], w, *others[index:]), targets, strict=True)
            return torch.stack([(factor * t * z + z * z).sum() for z, t in weighted]).sum()

        def adapted(w: Tensor, *example: Tensor, loss: Loss = loss) -> Tensor:
            return loss(w - STEP * torch.func.grad(loss)(w, *example), *example)

        def adapted_in_a_loop(w: Tensor, *example: Tensor, loss: Loss = loss) -> Tensor:
            (gradient,) = torch.autograd.grad(loss(w, *example), w, create_graph=True)
            return loss(w - STEP * gradient, *example)

        in_dims = (None, 0, *[0] * len(examples))
        each = torch.vmap(adapted, in_dims, randomness="same")

        def mean_loss(w: Tensor, each: Loss = each, examples: list[Tensor] = examples) -> Tensor:
            return each(w, factors, *examples).mean()

        leaf = weight.clone().requires_grad_()
        losses = [adapted_in_a_loop(leaf, *example) for example in zip(factors, *examples, strict=True)]
        (expected,) = torch.autograd.grad(torch.stack(losses).mean(), leaf)
        assert_same(f"gradient of {name}", [torch.func.grad(mean_loss)(weight)], [expected])


def one_tensor_in_two_places(case: Case) -> None:
    """f(x, x), and f(x) · f(2x) with x, eager and compiled: the gradient is the sum over the places.

    A tensor stands for two arguments wherever these are of one shape and dtype. Compiled are the
    product and the first of these pairs.
    """
    inputs = [tensor.detach() for tensor in case.inputs()]
    function, count = case.of_differentiable(), len(inputs)

    def product(*places: Tensor) -> tuple[Tensor, ...]:
        first, second, third = (places[start : start + count] for start in range(0, 3 * count, count))
        doubled = function(*(2 * tensor for tensor in second))
        products = (a * b for a, b in zip(function(*first), doubled, strict=True))
        return *products, *(3 * tensor for tensor in third)

    # random numbers are drawn in another order where two calls are compiled as one
    backend = None if case.is_random else case.backend
    _assert_sums("f(x) · f(2x)", product, inputs, [*range(count)] * 3, backend)
    alike = [
        (one, other)
        for one, other in combinations(range(count), 2)
        if (inputs[one].shape, inputs[one].dtype) == (inputs[other].shape, inputs[other].dtype)
    ]
    for number, (one, other) in enumerate(alike):
        places = [one if place == other else place for place in range(count)]
        what = f"{case.sample.names[one]} in the place of {case.sample.names[other]} too"
        _assert_sums(what, function, inputs, places, None if number else backend)


def _assert_sums(
    what: str, function: Function, values: list[Tensor], places: list[int], backend: str | None
) -> None:
    """Compare with tensors of their own in all places; ``places`` says which value stands in each."""

    def gradients(function: Function, leaves: list[Tensor], order: Sequence[int]) -> list[Tensor]:
        outputs = function(*(leaves[place] for place in order))
        return differentiate(outputs, leaves)

    separate = [values[place].clone().requires_grad_() for place in places]
    apart = gradients(function, separate, range(len(places)))
    used = sorted(set(places))
    expected = [
        torch.stack([g for g, place in zip(apart, places, strict=True) if place == value]).sum(0)
        for value in used
    ]
    shared = [values[value].clone().requires_grad_() for value in used]
    order = [used.index(place) for place in places]
    assert_same(f"gradient of {what}", gradients(function, shared, order), expected)
    if backend:
        for whole in (True, False):
            try:
                with fresh_compiler():
                    compiled = torch.compile(function, fullgraph=whole, backend=backend)
                    found = gradients(compiled, shared, order)
            except Exception as error:
                if whole and REFUSED_TWICE in str(error):
                    continue  # PyTorch refuses that of any Function, and runs it without compiling it
                raise
            assert_same(f"gradient of {what}, compiled", found, expected)
            break
