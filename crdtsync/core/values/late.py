"""``dataclass`` as in the standard library, but the methods of a frozen class are made when it is first used.

To make them takes a third of a millisecond a class. Of the hundreds of events, effects, steps and messages
most processes use a few dozen, and a short command hardly any.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass

_MADE: Final = ("__repr__", "__eq__", "__hash__", "__dataclass_params__", "__dataclass_fields__", "__init__")
"""The last one is what has the others made, so it is replaced last: another thread may be at it as well."""
_waiting: Final[dict[type, dict[str, Any]]] = {}
"""What stands in the bodies of the classes."""
_of_ours: Final[set[type | None]] = set()
"""Classes that others may be derived from."""


def _dataclass(cls: type | None = None, /, **options: bool) -> Any:
    if cls is None:
        return lambda cls: _dataclass(cls, **options)
    if options != {"frozen": True, "slots": True} or not _is_plain(cls):
        return dataclasses.dataclass(**options)(cls)
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    own = tuple(body.get("__annotations__", ()))
    late = type(
        cls.__name__,
        cls.__bases__,
        {
            **{name: value for name, value in body.items() if name not in own},
            "__slots__": own,
            "__match_args__": (*getattr(cls.__base__, "__match_args__", ()), *own),
            "__qualname__": cls.__qualname__,
            "__init__": _init,
            "__setattr__": _set,
            "__delattr__": _delete,
            "__getstate__": _state,
            "__setstate__": _restore,
            "__dataclass_fields__": _Fields(),
        },
    )
    _waiting[late] = body
    _of_ours.add(late)
    return late


def _is_plain(cls: type) -> bool:
    """Whether nothing in the class needs what only the standard library does."""
    body = vars(cls)
    annotations: dict[str, Any] = body.get("__annotations__", {})
    return (
        (cls.__bases__ == (object,) or (len(cls.__bases__) == 1 and cls.__base__ in _of_ours))
        and not body.keys() & {"__init__", "__post_init__", "__repr__", "__eq__", "__hash__", "__slots__"}
        and all(
            isinstance(kind, str) and "Var[" not in kind and kind != "KW_ONLY"
            for kind in annotations.values()
        )
        and not any(isinstance(body.get(name), dataclasses.Field) for name in annotations)
    )


def _make(cls: type) -> None:
    """Have the standard library make the methods, for a class of the same body, and take them over."""
    body = {**_waiting[cls], "__doc__": cls.__doc__ or "."}  # else it would work one out
    made: Any = dataclasses.dataclass(frozen=True)(type(cls.__name__, cls.__bases__, body))
    for name in _MADE:
        setattr(cls, name, vars(made)[name])


def _init(self: Any, *values: Any, **named: Any) -> None:
    cls = type(self)
    _make(cls)
    cls.__init__(self, *values, **named)


def _set(self: Any, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__match_args__]


def _restore(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__match_args__, state, strict=True):
        object.__setattr__(self, name, value)


class _Fields:
    """In the place of ``__dataclass_fields__`` until somebody asks for them."""

    def __get__(self, instance: object, cls: type) -> Any:
        _make(cls)
        return cls.__dataclass_fields__  # type: ignore[attr-defined]


if not TYPE_CHECKING:
    dataclass = _dataclass
