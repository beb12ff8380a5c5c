"""The capabilities that the battery tries, by name."""

from __future__ import annotations

from collections.abc import Callable

from ansnet.testing import (
    compiled,
    compositions,
    conduct,
    dependence,
    derivatives,
    extremes,
    gradchecks,
    layouts,
    precision,
    transforms,
    values,
)
from ansnet.testing.case import Case

# Raises if a function does not have the capability; may return a note of what was left out.
Capability = Callable[[Case], str | None]


def capability_name(check: Capability) -> str:
    """What a capability is called, which a function tries."""
    return check.__name__.replace("_", " ")


CAPABILITIES: dict[str, Capability] = {
    capability_name(check): check
    for check in (
        derivatives.forward,
        derivatives.gradients,
        gradchecks.gradcheck,
        gradchecks.batched_gradients,
        gradchecks.gradgradcheck,
        derivatives.forward_mode,
        derivatives.jacobian,
        derivatives.hessian,
        derivatives.subsets_of_gradients,
        derivatives.gradient_dtypes,
        dependence.linear_in_the_upstream_gradient,
        dependence.uses_its_arguments,
        transforms.vmap,
        transforms.per_sample_gradients,
        compositions.gradient_through_vmap,
        compositions.one_tensor_in_two_places,
        transforms.compile,
        transforms.compile_dynamic_shapes,
        compiled.compiled_transformations,
        transforms.export,
        transforms.meta,
        transforms.fake_tensors,
        precision.dtypes,
        precision.autocast_bfloat16,
        precision.autocast_float16,
        values.accuracy,
        values.non_finite_values,
        extremes.finite_far_away,
        layouts.channels_last,
        layouts.strided_views,
        layouts.expanded_views,
        layouts.negative_views,
        layouts.gradients_of_stride_0,
        layouts.strided_gradients,
        layouts.zero_size_batch,
        layouts.second_derivative_of_empty_batches,
        conduct.inputs_unchanged,
        conduct.without_gradients,
        conduct.needless_work,
        conduct.saved_tensors_freed,
        conduct.saved_tensors_guarded,
        conduct.backward_twice,
        conduct.no_memory_growth,
        conduct.deterministic,
        conduct.checkpoint,
        conduct.saved_tensor_hooks,
        conduct.pickle_and_copy,
        precision.devices,
    )
}

# What takes seconds is tried on the first samples only.
MOST_SAMPLES = {"compiled transformations": 1}

# What loads the compiler, which takes seconds the first time.
COMPILED = {
    "one tensor in two places",
    "compile",
    "compile dynamic shapes",
    "compiled transformations",
    "export",
}

# What needs many digits, and is tried in float32 where a function does not work in float64.
IN_FLOAT64 = (
    "gradcheck",
    "gradgradcheck",
    "batched gradients",
    "forward mode",
    "jacobian",
    "hessian",
    "gradient through vmap",
    "compiled transformations",
)

# Without these a report says nothing of a function: with a reference, and without one.
ESSENTIAL = {True: ("forward", "gradients"), False: ("gradcheck",)}

# What compares with a reference, and cannot be tried without one.
NEED_REFERENCE = {"forward", "gradients", "accuracy", "non finite values"}
