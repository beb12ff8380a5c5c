"""Other texts for pieces of a source that are known to do harm, to try a row with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ansnet.testing.sources import Edit, Source, decorator_name, is_call, name_of_call

GRAD_OFF = ("no_grad", "inference_mode", "once_differentiable")
NOTHING = "__import__('contextlib').nullcontext()"


def attached(source: Source) -> list[Edit]:
    """Nothing is detached from the graph, and no gradients are switched off."""
    edits = []
    for decorator in source.tree.decorator_list:
        if decorator_name(decorator) in GRAD_OFF:
            shown = f"# without @{source.segment(decorator)}"
            edits.append(Edit(decorator, "(lambda function: function)", shown))
    for node in source.walk():
        if isinstance(node, ast.With):
            for item in node.items:
                if is_call(item.context_expr, *GRAD_OFF):
                    shown = f"# without “with {source.segment(item.context_expr)}:”"
                    edits.append(Edit(item.context_expr, NOTHING, shown))
        if isinstance(node, ast.Call) and is_call(node, "detach") and not node.args:
            edits.append(Edit(end_of(node, ".detach()"), ""))
        if isinstance(node, ast.Attribute) and node.attr == "data" and not _is_saved_name(node):
            edits.append(Edit(end_of(node, ".data"), ""))
    return edits


def _is_saved_name(node: ast.Attribute) -> bool:
    """Whether it is ``ctx.data``, a name like any other."""
    return isinstance(node.value, ast.Name) and node.value.id in ("ctx", "self", "cls")


def end_of(node: ast.expr, text: str) -> ast.expr:
    """The end of a piece that ends with a text, such as the call of a method."""
    end = ast.Name(text, ast.Load())
    end.lineno, end.end_lineno = node.end_lineno or node.lineno, node.end_lineno
    end.end_col_offset = node.end_col_offset
    end.col_offset = (node.end_col_offset or 0) - len(text)
    return end


def reshaped(source: Source) -> list[Edit]:
    """``reshape`` for ``view``, which needs a memory of certain strides."""
    edits = []
    for node in source.walk():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            is_dtype = len(node.args) == 1 and source.segment(node.args[0]).startswith("torch.")
            if node.func.attr == "view" and not is_dtype:
                edits.append(Edit(end_of(node.func, "view"), "reshape"))
    return edits


def in_its_own_precision(source: Source) -> list[Edit]:
    """Nothing is converted to single precision."""
    edits = []
    for node in source.walk():
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        text = source.segment(node)
        for end in (".float()", ".to(torch.float32)", ".to(torch.float)", ".type(torch.float32)"):
            if text.endswith(end):
                edits.append(Edit(end_of(node, end), ""))
    return edits


def in_its_own_format(source: Source) -> list[Edit]:
    """Nothing is copied into the order of a fresh tensor."""
    return [
        Edit(end_of(node, ".contiguous()"), "")
        for node in source.walk()
        if isinstance(node, ast.Call) and source.segment(node).endswith(".contiguous()")
    ]


FACTORIES = ("zeros", "ones", "empty", "full", "arange", "linspace", "eye", "tensor", "rand", "randn")


def like_the_input(source: Source, what: str) -> list[Edit]:
    """A tensor that is made anew has the device, or the dtype, of the first input.

    Args:
        source: the source.
        what: "device" or "dtype".
    """
    names = [name for name in source.parameters if name not in ("ctx", "self", "cls")]
    edits = []
    for node in source.walk():
        if not (names and isinstance(node, ast.Call) and is_call(node, *FACTORIES)):
            continue
        if not source.segment(node.func).startswith("torch."):
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg == what]
        if given:
            edits.append(Edit(given[0], f"{names[0]}.{what}"))
        else:
            edits.append(Edit(end_of(node, ")"), f", {what}={names[0]}.{what})"))
    return edits


def as_tensors(source: Source) -> list[Edit]:
    """A number that is taken out of a tensor stays in it."""
    edits = []
    for node in source.walk():
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "float" and len(node.args) == 1:
            edits.append(Edit(node, f"{source.segment(node.args[0])}"))
        elif source.segment(node).endswith(".item()"):
            edits.append(Edit(end_of(node, ".item()"), ""))
    return edits


OPPOSITE = {ast.Gt: "<=", ast.GtE: "<", ast.Lt: ">=", ast.LtE: ">"}
SIGN = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}


def chosen(source: Source, opposite: bool) -> list[Edit]:
    """``where`` for a product with a comparison, in which ∞ · 0 is NaN.

    Args:
        source: the source.
        opposite: whether NaN, of which no comparison is true, is let through.
    """
    edits = []
    for node in source.walk():
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)):
            continue
        for mask, other in ((node.left, node.right), (node.right, node.left)):
            while is_call(mask, "to", "float", "double", "type_as") and isinstance(mask, ast.Call):
                assert isinstance(mask.func, ast.Attribute)
                mask = mask.func.value
            if isinstance(mask, ast.Compare) and type(mask.ops[0]) in SIGN and len(mask.ops) == 1:
                left, right, factor = map(source.segment, (mask.left, mask.comparators[0], other))
                sign = (OPPOSITE if opposite else SIGN)[type(mask.ops[0])]
                values = f"0, {factor}" if opposite else f"{factor}, 0"
                edits.append(Edit(node, f"torch.where({left} {sign} {right}, {values})"))
                break
    return edits


def as_needed(source: Source) -> list[Edit]:
    """Each gradient that the backward returns is computed only where it is asked for."""
    returns = [node for node in source.walk() if isinstance(node, ast.Return)]
    if len(returns) != 1 or not isinstance(returns[0].value, ast.Tuple):
        return []
    edits = []
    for index, element in enumerate(returns[0].value.elts):
        value = element
        if isinstance(element, ast.Name):
            assigned = [
                node.value
                for node in source.walk()
                if isinstance(node, ast.Assign)
                and [getattr(target, "id", None) for target in node.targets] == [element.id]
            ]
            if len(assigned) != 1:
                continue
            value = assigned[0]
        if not isinstance(value, (ast.Constant, ast.Name, ast.IfExp)):
            condition = f"{source.parameters[0]}.needs_input_grad[{index}]"
            text = f"{source.segment(value)} if {condition} else None"
            edits.append(Edit(value, f"({text})" if value is element else text))
    return edits


def nothing_divided(source: Source) -> list[Edit]:
    """A length of 0 does not divide."""
    edits = []
    for node in source.walk():
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            size = node.right
            is_size = is_call(size, "len", "numel", "size") or (
                isinstance(size, ast.Subscript)
                and isinstance(size.value, ast.Attribute)
                and size.value.attr == "shape"
            )
            if is_size:
                edits.append(Edit(size, f"max({source.segment(size)}, 1)"))
    return edits


def written_parameters(source: Source) -> Iterator[tuple[str, ast.AST]]:
    """Where a source writes into a tensor that it is given: its name, and the piece."""
    names = set(source.parameters[1:] if source.parameters[:1] == ["ctx"] else source.parameters)
    for node in source.walk():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method, target = node.func.attr, node.func.value
            writes = method.endswith("_") and not method.endswith("__") and method != "requires_grad_"
            if writes and isinstance(target, ast.Name) and target.id in names:
                yield target.id, node
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AugAssign):
            targets = [node.target]
            if isinstance(node.target, ast.Name) and node.target.id in names:
                yield node.target.id, node
        for target in targets:
            written = target.value if isinstance(target, ast.Subscript) else None
            if isinstance(written, ast.Name) and written.id in names:
                yield written.id, node


def leaves_pytorch(source: Source) -> ast.AST | None:
    """Where it turns a tensor into what autograd does not see, such as a number or an array."""
    for node in source.walk():
        if is_call(node, "item", "tolist", "numpy", "from_numpy"):
            return node
        if isinstance(node, ast.Call) and name_of_call(node) in ("asarray", "array"):
            return node
    return None


def saved_in_any_case(source: Source) -> list[Edit]:
    """What is saved is saved whether ``ctx.needs_input_grad`` asks for it or not."""
    return [
        Edit(argument, source.segment(argument.body))
        for node in source.walk()
        if isinstance(node, ast.Call) and is_call(node, "save_for_backward")
        for argument in node.args
        if isinstance(argument, ast.IfExp) and "needs_input_grad" in source.segment(argument.test)
    ]


def saved_intermediates(source: Source, on_ctx: Sequence[str]) -> list[tuple[str, str]]:
    """What it saves besides arguments and output: name and expression, where it is assigned once.

    Args:
        source: of a forward or a setup_context.
        on_ctx: the names of the tensors that are set on ``ctx``.
    """
    ctx = source.parameters[0] if source.parameters else "ctx"
    given = set(source.parameters)
    for node in source.walk():
        if isinstance(node, ast.Assign) and source.segment(node.value) in given:
            given |= {part.id for part in ast.walk(node.targets[0]) if isinstance(part, ast.Name)}
    expressions: dict[str, list[str]] = {}
    for node in source.walk():
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            name = source.segment(node.targets[0]).removeprefix(f"{ctx}.")
            expressions.setdefault(name, []).append(source.segment(node.value))

    def assigned(name: str) -> str:
        values = expressions.get(name, [])
        return values[0] if len(values) == 1 else ""

    found = []
    for node in source.walk():
        if is_call(node, "save_for_backward") and isinstance(node, ast.Call):
            for argument in node.args:
                if isinstance(argument, ast.Name) and argument.id not in given:
                    found.append((argument.id, assigned(argument.id)))
                elif not isinstance(argument, (ast.Name, ast.Starred)):
                    found.append((source.segment(argument), source.segment(argument)))
    found += [(name, assigned(name)) for name in on_ctx if assigned(name) not in given]
    return found


def set_on_ctx(source: Source) -> list[tuple[str, ast.AST]]:
    """The names that it sets on its first parameter, of tensors or not, and where."""
    ctx = source.parameters[0] if source.parameters else "ctx"
    return [
        (node.attr, node)
        for node in source.walk()
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == ctx
    ]
