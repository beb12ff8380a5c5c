"""The causes that are known, each with its way to recognise it; the first that fits is told."""

from __future__ import annotations

from ansnet.testing.diagnosis import Recogniser
from ansnet.testing.recognition import formulas, memory, precision, rules

RECOGNISERS: tuple[Recogniser, ...] = (
    rules.no_setup_context,
    rules.no_jvp,
    rules.no_vmap_rule,
    rules.wrong_vmap_rule,
    rules.number_of_gradients,
    rules.compiler_refuses_jvp,
    rules.unpicklable,
    memory.views,
    rules.leaves_pytorch,
    rules.made_elsewhere,
    memory.gradient_written_to,
    memory.input_written_to,
    memory.not_marked_dirty,
    formulas.detached,
    formulas.detached_function,
    memory.tensors_on_ctx,
    formulas.saved_where_needed,
    formulas.intermediates,
    memory.format_lost,
    memory.contiguous,
    precision.single_precision,
    precision.cast_gradients,
    precision.autocast,
    precision.infinity_times_zero,
    memory.unneeded_gradients,
    precision.empty_division,
    formulas.random_numbers,
    formulas.constant_outputs,
    formulas.formula,
)
