# SPDX-License-Identifier: Apache-2.0
"""Configuration files of xm are Python programs: what is written out is read, and nothing is ever run.

Touches nothing. Only assignments of literals to names count; whatever would have to be evaluated is Unreadable, with its line.
"""

import ast

from unxen.platforms.xen.unreadable import Unreadable
from unxen.platforms.xen.xl_syntax import Setting, Value

ADVICE = "write the values out, or take what xm list --long or virsh dumpxml prints"
_WORDS = {
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.If: "a condition",
    ast.For: "a loop",
    ast.While: "a loop",
    ast.FunctionDef: "a function",
    ast.Call: "a call",
    ast.BinOp: "a calculation",
    ast.JoinedStr: "a calculation",
    ast.Name: "another variable",
    ast.Dict: "a dictionary",
}


class NotPython(Unreadable):
    """It cannot be an xm file at all."""


def read_xm(text: str) -> list[Setting]:
    """The settings of a file whose values are written out."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise NotPython("it is neither an xl file nor Python", error.lineno or 0, ADVICE) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotPython("it is nested too deeply", 0, ADVICE) from error
    found: dict[str, Setting] = {}
    for statement in tree.body:
        for setting in _settings(statement):
            found.pop(setting.name, None)
            found[setting.name] = setting
    return list(found.values())


def _settings(statement: ast.stmt) -> list[Setting]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return []
    if not isinstance(statement, ast.Assign):
        raise _needs_evaluation(statement)
    names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if len(names) != len(statement.targets):
        raise _needs_evaluation(statement)
    value = _literal(statement.value)
    return [Setting(name, value, statement.lineno) for name in names]


def _literal(node: ast.expr) -> Value:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | None):
        return "" if node.value is None else node.value if isinstance(node.value, str) else int(node.value)
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(each) for each in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(number := _literal(node.operand), int):
        return -number
    raise _needs_evaluation(node)


def _needs_evaluation(node: ast.stmt | ast.expr) -> Unreadable:
    what = _WORDS.get(type(node), "something")
    return Unreadable(f"{what} that would have to be run stands here, and unxen runs no configuration", node.lineno, ADVICE)
