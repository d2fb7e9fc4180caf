"""A class whose methods are made late is, once it is used, what the standard library makes of it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A place."""

    x: int
    y: int = 2

    @property
    def both(self) -> int:
        return self.x + self.y


@dataclass(frozen=True, slots=True)
class Bare:
    name: str


@dataclass(frozen=True, slots=True)
class Named(Bare):
    """A bare one with more to it."""

    number: int = 7


@dataclass(frozen=True, slots=True)
class Nothing:
    """Has no fields."""


@dataclass(frozen=True, slots=True)
class Copied:
    x: int


@dataclass(frozen=True, slots=True)
class Asked:
    x: int = 1


@dataclass(slots=True)
class Changing:
    x: int = 1


@dataclass(frozen=True, slots=True)
class Listing:
    items: list[int] = dataclasses.field(default_factory=list)


def test_it_is_made_compared_hashed_and_shown() -> None:
    assert Point(1) == Point(x=1, y=2) != Point(1, 3)
    other: object = (1, 2)
    assert Point(1) != other
    assert len({Point(1), Point(1, 2), Point(2)}) == 2
    assert repr(Point(1)) == "Point(x=1, y=2)"
    assert Point(1).both == 3
    assert Point.__doc__ == "A place."
    assert Nothing() == Nothing()
    assert not hasattr(Point(1), "__dict__")
    assert dataclasses.replace(Point(1), y=5) == Point(1, 5)


def test_what_it_is_made_of_has_to_fit() -> None:
    wrong: Callable[..., Any] = Bare
    for arguments in ((), (1, 2)):
        with pytest.raises(TypeError):
            wrong(*arguments)
    assert Bare("a").name == "a"


def test_one_that_is_derived_from_another_has_the_fields_of_both() -> None:
    named = Named("a")
    assert (named.name, named.number, repr(named)) == ("a", 7, "Named(name='a', number=7)")
    assert named == Named(name="a", number=7) != Named("a", 8)
    other: object = Bare("a")
    assert named != other
    assert isinstance(named, Bare)
    assert not hasattr(named, "__dict__")
    assert [field.name for field in dataclasses.fields(Named)] == ["name", "number"]
    assert dataclasses.replace(named, name="b") == Named("b")
    assert pickle.loads(pickle.dumps(named)) == named
    match named:
        case Named(name, number):
            assert (name, number) == ("a", 7)
    wrong: Any = named
    with pytest.raises(dataclasses.FrozenInstanceError):
        wrong.name = "b"


def test_it_cannot_be_changed() -> None:
    point: Any = Point(1)
    for name in ("x", "z"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(point, name, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x


def test_it_is_matched_by_its_fields() -> None:
    match Point(1):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_a_copy_is_equal() -> None:
    assert copy.deepcopy(Copied(1)) == Copied(1)
    assert pickle.loads(pickle.dumps(Copied(2))) == Copied(2)


def test_its_fields_are_told_before_it_is_used() -> None:
    assert [field.name for field in dataclasses.fields(Asked)] == ["x"]
    assert dataclasses.is_dataclass(Asked)
    assert Asked().x == 1


def test_what_is_not_frozen_or_has_a_field_of_its_own_kind_is_made_at_once() -> None:
    changing = Changing()
    changing.x = 5
    assert changing == Changing(5)
    first, second = Listing(), Listing()
    first.items.append(1)
    assert second == Listing([])


def test_nothing_is_made_for_classes_that_nobody_uses() -> None:
    code = (
        "from crdtsync.core.replica import effects as ef\n"
        "from crdtsync.core.values import late\n"
        "assert ef.Connect in late._waiting and 'object' in str(ef.Connect.__eq__)\n"
        "ef.Connect()\n"
        "assert 'Connect' in str(ef.Connect.__eq__)\n"
        "assert 'object' in str(ef.Disconnect.__eq__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
