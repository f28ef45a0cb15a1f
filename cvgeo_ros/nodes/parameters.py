"""Typed parameters: declared with descriptors and ranges, refused with a reason when wrong."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter


@dataclass(frozen=True)
class Spec:
    """One parameter.

    Attributes:
        name: Its name.
        default: Its default; the parameter keeps this type. For a float that may be unknown: NaN.
        description: What it means, with the unit.
        low, high: Range, both ends allowed.
        choices: The values a string may take; empty = any.
        held: Read when the node configures or starts, so that setting it later is refused.
    """

    name: str
    default: bool | int | float | str
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    held: bool = False

    @property
    def _wanted(self) -> str:
        """What a string may be."""
        return "one of " + ", ".join(choice or '""' for choice in self.choices)

    def refusal(self, value: Any) -> str | None:
        """Return why a value of the right type is wrong, or None."""
        if self.choices and value not in self.choices:
            return f"{self.name} is {value!r}: must be {self._wanted}"
        if self.low is None and self.high is None:
            return None
        if isinstance(value, float) and math.isnan(value):
            unknown = isinstance(self.default, float) and math.isnan(self.default)
            return None if unknown else f"{self.name} is not a number"
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return None if low <= value <= high else f"{self.name} is {value}: must lie between {low:g} and {high:g}"

    def descriptor(self) -> ParameterDescriptor:
        """Return the descriptor that ``ros2 param describe`` shows."""
        descriptor = ParameterDescriptor(description=self.description)
        if self.choices:
            descriptor.additional_constraints = self._wanted
        if self.low is None or self.high is None:
            return descriptor
        if isinstance(self.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self.high))]
        elif isinstance(self.default, float) and math.isnan(self.default):  # a range would refuse NaN
            descriptor.additional_constraints = f"{self.low:g} to {self.high:g}, or NaN = unknown"
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=self.low, to_value=self.high)]
        return descriptor


class Parameters:
    """The parameters of one node, declared and guarded.

    Args:
        node: The node.
        specs: What to declare.
        held: Says why parameters with ``Spec.held`` cannot be set now, or None while they can.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: A value given at start is wrong; it holds the reason.
    """

    def __init__(self, node: Node, specs: Sequence[Spec], held: Callable[[], str | None]) -> None:
        self._node = node
        self._specs = {spec.name: spec for spec in specs}
        self._held = held
        self._declared = False
        node.add_on_set_parameters_callback(self._check)
        for spec in specs:
            node.declare_parameter(spec.name, spec.default, spec.descriptor())
        self._declared = True

    def _check(self, changes: list[Parameter]) -> SetParametersResult:
        for change in changes:
            spec = self._specs.get(change.name)
            if spec is None:
                continue
            reason = spec.refusal(change.value)
            if reason is None and spec.held and self._declared:
                reason = self._held()
                reason = reason and f"{spec.name} {reason}"
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def text(self, name: str) -> str:
        """Return a string parameter."""
        return str(self._node.get_parameter(name).value)

    def flag(self, name: str) -> bool:
        """Return a boolean parameter."""
        return bool(self._node.get_parameter(name).value)

    def count(self, name: str) -> int:
        """Return an integer parameter."""
        return int(self._node.get_parameter(name).value)

    def number(self, name: str) -> float:
        """Return a float parameter."""
        return float(self._node.get_parameter(name).value)

    def known(self, name: str) -> float | None:
        """Return a float parameter, None where it is NaN."""
        value = self.number(name)
        return None if math.isnan(value) else value

    def nanoseconds(self, name: str) -> int:
        """Return a float parameter in seconds as ns."""
        return round(self.number(name) * 1e9)
