"""YAML files whose fields are those of a dataclass."""

from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from cvgeo_ros.errors import TrainingError

Config = TypeVar("Config")


def read_config_file(kind: type[Config], path: Path | None, example: str, overrides: dict[str, Any]) -> Config:
    """Read a configuration and put options over it.

    Args:
        kind: a dataclass; its fields may be dataclasses themselves.
        path: YAML; None: options and defaults alone.
        example: such a field, for the message that tells of a file without fields.
        overrides: values by name of field.

    Raises:
        TrainingError: The file is missing or not YAML, or holds an unknown field or a wrong value; names it.
    """
    import yaml
    from pydantic import TypeAdapter, ValidationError

    where = "options" if path is None else str(path)
    try:
        data = {} if path is None else yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"{where}: cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise TrainingError(f"{where}: must hold fields such as '{example}'")
    data |= overrides
    if unknown := _unknown(data, kind):
        raise TrainingError(f"{where}: field '{unknown}' does not exist")
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise TrainingError(f"{where}: field '{field}': {problem['msg']}") from error


def _unknown(data: dict[str, Any], kind: Any) -> str | None:
    """Name the first key that is not a field; pydantic passes over them in plain dataclasses."""
    kinds = get_type_hints(kind)
    for key, value in data.items():
        if key not in kinds:
            return str(key)
        nested = isinstance(value, dict) and is_dataclass(kinds[key])
        if nested and (inner := _unknown(value, kinds[key])):
            return f"{key}.{inner}"
    return None
