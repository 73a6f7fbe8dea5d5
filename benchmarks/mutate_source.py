"""Small changes of a Python file that its tests should notice, made on its syntax tree.

What is changed: comparisons, operators of arithmetic, bits and logic, signs, conditions, numbers,
words, `min` and `max` and the like, statements that only call, yield or raise, `break` and
`continue`. What is not: annotations and names of types, decorators, docstrings, imports, `__all__`,
`assert` and `strict=` of `zip`, which state beliefs about our own code.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.MatMult: ast.Mult,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "sorted": "list",
    "minimum": "maximum",
    "maximum": "minimum",
    "argmin": "argmax",
    "argmax": "argmin",
    "zeros": "ones",
    "ones": "zeros",
    "floor": "ceil",
    "ceil": "floor",
}
"""Functions and methods, and the one that is called instead."""
DECIDED: tuple[type[ast.AST], ...] = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)
"""Conditions that are changed inside, so that they need not be reversed."""


class Place(NamedTuple):
    """Where a node stands in its parent: a field, and a position if the field is a list."""

    parent: ast.AST
    field: str
    position: int | None

    def put(self, node: Any) -> None:
        """Set the node there."""
        if self.position is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.position] = node


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change of one file."""

    tree: ast.Module
    place: Place
    old: Any
    new: Any
    lines: tuple[int, int]
    """First and last line of what is changed."""
    statement: tuple[int, int]
    """Those of the whole statement, or of the header of a compound one."""
    where: str
    """Function or class; `module` outside all."""
    change: str
    """Expression before and after; ` (2)` behind the second such change of the same function."""

    @property
    def source(self) -> str:
        """The whole file with this change."""
        self.place.put(self.new)
        try:
            return ast.unparse(self.tree) + "\n"
        finally:
            self.place.put(self.old)


def list_mutants(source: str) -> list[Mutant]:
    """Return every change of a file, in the order of its lines."""
    tree = ast.parse(source)
    seen: Counter[tuple[str, str]] = Counter()
    mutants = []
    for place, node, above in _walk(tree, ()):
        for new in _change(place, node):
            shown = next(a for a in reversed(above) if isinstance(a, ast.expr | ast.stmt))
            if isinstance(node, ast.expr | ast.stmt) and not isinstance(node, ast.Constant):
                shown = node
            before = _show(shown)
            place.put(new)
            after = _show(new if shown is node else shown)
            place.put(node)
            where = ".".join(a.name for a in above if hasattr(a, "name")) or "module"
            change = f"{before} -> {after}"
            seen[where, change] += 1
            if seen[where, change] > 1:
                change += f" ({seen[where, change]})"
            lines, statement = _find_lines(node, above), _find_statement(node, above)
            mutants.append(Mutant(tree, place, node, new, lines, statement, where, change))
    return sorted(mutants, key=lambda m: m.lines)


def _walk(
    node: ast.AST, above: tuple[ast.AST, ...]
) -> Iterator[tuple[Place, Any, tuple[ast.AST, ...]]]:
    """Yield (place, node, nodes above it) of everything that may be changed."""
    above = (*above, node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "ctx", "format_spec"):
            continue
        for position, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _stays(child):
                yield Place(node, field, position), child, above
                yield from _walk(child, above)


def _stays(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()) | ast.keyword(arg="strict"):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(value=ast.Subscript(value=ast.Name(id="Literal"))):
            return True  # the name of a type
    return False


def _change(place: Place, node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node."""
    if type(node) in OPERATORS:
        yield OPERATORS[type(node)]()
    for rule in RULES.get(type(node), ()):
        yield from rule(node)
    condition = place.field == "test" or place.field == "ifs"
    if condition and not isinstance(node, DECIDED):
        assert isinstance(node, ast.expr)
        yield ast.UnaryOp(ast.Not(), node)


def _change_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant("XX" + value)


def _drop_sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _rename_function(node: ast.Call) -> Iterator[ast.AST]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in NAMES:
        yield ast.Call(ast.Name(NAMES[function.id], ast.Load()), node.args, node.keywords)
    if isinstance(function, ast.Attribute) and function.attr in NAMES:
        other = ast.Attribute(function.value, NAMES[function.attr], ast.Load())
        yield ast.Call(other, node.args, node.keywords)


def _drop_statement(node: ast.stmt) -> Iterator[ast.AST]:
    yield ast.Pass()


def _end_loop(node: ast.Continue) -> Iterator[ast.AST]:
    yield ast.Break()


def _go_on(node: ast.Break) -> Iterator[ast.AST]:
    yield ast.Continue()


RULES: dict[type[ast.AST], tuple[Callable[[Any], Iterator[ast.AST]], ...]] = {
    ast.Constant: (_change_constant,),
    ast.UnaryOp: (_drop_sign,),
    ast.Call: (_rename_function,),
    ast.Expr: (_drop_statement,),
    ast.Raise: (_drop_statement,),
    ast.Continue: (_end_loop,),
    ast.Break: (_go_on,),
}
"""By kind of node; those that are operators stand in `OPERATORS`."""


def _show(node: ast.AST) -> str:
    """Return a node as one line: of a compound statement only the header."""
    return ast.unparse(node).splitlines()[0].strip()


def _find_lines(node: ast.AST, above: tuple[ast.AST, ...]) -> tuple[int, int]:
    """Return the lines of a node; of the one above it if it has none, as operators."""
    lined = next(n for n in (node, *reversed(above)) if hasattr(n, "lineno"))
    if isinstance(lined, ast.stmt) and hasattr(lined, "body"):
        return _find_header(lined)
    return lined.lineno, lined.end_lineno or lined.lineno


def _find_statement(node: ast.AST, above: tuple[ast.AST, ...]) -> tuple[int, int]:
    statement = next(n for n in (node, *reversed(above)) if isinstance(n, ast.stmt))
    return _find_header(statement)


def _find_header(node: ast.stmt) -> tuple[int, int]:
    body = getattr(node, "body", None)
    end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
    return node.lineno, max(node.lineno, end)
