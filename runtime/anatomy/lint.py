"""Lint: the operators of a file that an accelerator leaves to the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ailsr.runtime.anatomy.anatomy import Anatomy, Operator
from ailsr.runtime.anatomy.lint_rules import DELEGATES, Delegate, DelegateName


@dataclass(frozen=True)
class Finding:
    """An operator that a delegate does not accept."""

    operator: str
    """Name and version."""
    tensor: str
    """That it computes."""
    reason: str
    remedy: str
    """A change that helps; empty where none is known."""


@dataclass(frozen=True)
class Lint:
    """The operators of a file that a delegate does not accept."""

    delegate: DelegateName
    operators: int
    """In the file."""
    findings: list[Finding]
    """One for each operator that stays on the CPU."""
    note: str
    """Further advice; may be empty."""

    def lines(self) -> Iterator[str]:
        """The lines to print: a summary, then one for each kind of finding."""
        title = DELEGATES[self.delegate].title
        if not self.findings:
            all_of_them = f"all {self.operators} operators"
            yield f"{self.delegate}: {title} accepts {all_of_them}, by what is published of it"
        else:
            left = f"{len(self.findings)} of {self.operators}"
            yield f"{self.delegate}: {title} leaves {left} operators to the CPU"
        kinds = Counter((f.operator, f.reason, f.remedy) for f in self.findings)
        first = {f.operator: f.tensor for f in reversed(self.findings)}
        for (operator, reason, remedy), count in kinds.items():
            where = first[operator]
            advice = f"; try {remedy}" if remedy else ""
            yield f"  {count}x {operator} (first at {where}): it {reason}{advice}"
        if self.note:
            yield f"  {self.note}"


def reads(delegate: DelegateName, found: Anatomy) -> bool:
    """True when the delegate runs files of this format."""
    return DELEGATES[delegate].kind == found.kind


def lint(found: Anatomy, name: DelegateName) -> Lint:
    """The findings of the delegate ``name`` in a file of the format that it reads."""
    delegate = DELEGATES[name]
    findings = [
        Finding(
            operator.title,
            operator.outputs[0].name if operator.outputs else "",
            reason,
            delegate.remedies.get(operator.name, delegate.remedy),
        )
        for operator in found.operators
        if (reason := _reason(operator, delegate))
    ]
    tensors = (tensor for operator in found.operators for tensor in operator.outputs)
    eight_bit = any(tensor.type in ("int8", "uint8") for tensor in tensors)
    note = delegate.eight_bit_note if eight_bit else delegate.float_note
    return Lint(name, len(found.operators), findings, note)


def _reason(operator: Operator, delegate: Delegate) -> str:
    """The reason why ``operator`` is not accepted, after "it"; empty when it is."""
    rule = delegate.rules.get(operator.name, delegate.others)
    if rule is None:
        return "is not known to take such an operator"
    if rule.version is not None and (operator.version or 1) > rule.version:
        return f"takes it up to version {rule.version}"
    first = next((tensor for tensor in operator.inputs if not tensor.constant), None)
    first = first or next(iter(operator.inputs), None)
    if rule.types and first is not None and first.type not in rule.types:
        return f"takes {' and '.join(rule.types)}, not {first.type}"
    try:
        return rule.condition(operator)
    except (IndexError, ValueError, ZeroDivisionError):  # a file of others may hold anything
        return "does not get the tensors that it needs"
