"""How a function is declared: once, with its signatures, its SQL for each dialect, its documentation and examples that run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from kqlite.language.schema import Shape
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.plan import Scalar

ANY = frozenset(Type)
NUMBERS = frozenset({Type.INT, Type.LONG, Type.REAL})


class Naming(Enum):
    """What a column is called that nobody named and whose value is a call of the function.

    Source: read from the function tables of Microsoft's analyser.
    """

    NONE = "Column1, Column2, .."
    FIRST_ARGUMENT = "the name of the first argument"
    FUNCTION_AND_ARGUMENT = "function_argument"
    PREFIX = "prefix_argument"
    SORTED = "argument_sorted, where the call is all of the expression"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a signature.

    type: the type that the SQL is given; None for any type, given as it comes. accepts: types that are converted to `type`
    besides those that convert by themselves (int to long to real, and nothing else). constant: wants a literal (a regular
    expression, a part of a date); the binder refuses anything else. check: says what is wrong with the text of such a literal,
    None where nothing is.
    """

    name: str
    type: Type | None
    accepts: frozenset[Type] = frozenset()
    constant: bool = False
    check: Callable[[str], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """parameters; how many of the last ones may be left out; whether the last one may be repeated; the type of the result, or a
    rule that makes it of the arguments' types.
    """

    parameters: tuple[Parameter, ...]
    returns: Type | Callable[[Sequence[Type]], Type]
    optional: int = 0
    repeats: bool = False

    @property
    def least(self) -> int:
        return len(self.parameters) - self.optional

    @property
    def most(self) -> int | None:
        return None if self.repeats else len(self.parameters)

    def parameter(self, index: int) -> Parameter:
        """The parameter that takes argument number `index`, from 0."""
        return self.parameters[min(index, len(self.parameters) - 1)]

    def __str__(self) -> str:
        shown = []
        for index, parameter in enumerate(self.parameters):
            text = f"{parameter.name}: {parameter.type or 'any'}"
            shown.append(f"[{text}]" if index >= self.least else text)
        return "(" + ", ".join(shown) + (", .." if self.repeats else "") + ")"


@dataclass(frozen=True, slots=True)
class Custom:
    """The name of a lowering function in the dialect, for what no template can say."""

    name: str


@dataclass(frozen=True, slots=True)
class Example:
    """A call and the text of what it gives: of a scalar as `tostring` prints it, `null` for null, JSON of a dynamic.

    rows: for an aggregate, the rows that it is called on: one column `x` (or `x, y`) of literals.
    """

    call: str
    result: str
    rows: str | None = None


ShapeRule = Callable[[Sequence["Scalar"]], Shape]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function or an operator of KQL.

    sql: by dialect; or by dialect and `"list"` for the case that the first dynamic argument is held as a list. A template's
    holes are the parameters' names; arguments which were left out are not given, so a template with optional parameters is a
    Custom one, or there is one template for each number of arguments: `("duckdb", 3)`. A repeated parameter's hole takes all of
    its arguments, separated by commas. A dynamic argument comes as JSON text unless the template is for lists. nullable:
    whether it may give null even where no argument is. Strings never are. shape: the form of a dynamic result, made of the
    bound arguments; None for JSON. aggregate: folds the rows of a group. window: depends on the rows before, in their order. volatile:
    gives another value each time it is computed.
    aliases: old names, documented as such.
    """

    name: str
    doc: str
    signatures: tuple[Signature, ...]
    sql: Mapping[str | tuple[str, str | int], str | Custom]
    examples: tuple[Example, ...]
    source: str
    naming: Naming = Naming.NONE
    prefix: str = ""
    nullable: bool = True
    shape: ShapeRule | None = None
    aggregate: bool = False
    window: bool = False
    volatile: bool = False
    aliases: tuple[str, ...] = ()


class Functions:
    """The catalogue: every declared function by each of its names."""

    def __init__(self) -> None:
        self._by_name: dict[str, Function] = {}

    def declare(self, function: Function) -> Function:
        """Adds a function; refuses a second declaration of a name, and one that no example shows."""
        for name in (function.name, *function.aliases):
            if name in self._by_name:
                raise ValueError(f"`{name}` is declared twice")
            self._by_name[name] = function
        if not function.examples:
            raise ValueError(f"`{function.name}` has no example")
        return function

    def find(self, name: str) -> Function | None:
        return self._by_name.get(name)

    def names(self) -> Iterator[str]:
        return iter(self._by_name)

    def all(self) -> list[Function]:
        """Each function once, by name."""
        return sorted(set(self._by_name.values()), key=lambda function: function.name)


FUNCTIONS = Functions()
scalar = aggregate = FUNCTIONS.declare


def string(name: str) -> Parameter:
    """A string; a dynamic is taken as its text, as the service does."""
    return Parameter(name, Type.STRING, frozenset({Type.DYNAMIC}))


def text_of(name: str) -> Parameter:
    """Any value, taken as `tostring` prints it."""
    return Parameter(name, Type.STRING, ANY)


def long(name: str, *, dynamic: bool = False) -> Parameter:
    return Parameter(name, Type.LONG, frozenset({Type.DYNAMIC}) if dynamic else frozenset())


def real(name: str, *, dynamic: bool = False) -> Parameter:
    return Parameter(name, Type.REAL, frozenset({Type.DYNAMIC}) if dynamic else frozenset())


def dynamic(name: str) -> Parameter:
    return Parameter(name, Type.DYNAMIC)


def anything(name: str) -> Parameter:
    """Any value, given as it comes."""
    return Parameter(name, None)


def boolean(name: str, *, dynamic: bool = False) -> Parameter:
    return Parameter(name, Type.BOOL, frozenset({Type.DYNAMIC}) if dynamic else frozenset())


def datetime(name: str) -> Parameter:
    """A datetime; a dynamic is read as one, as the service does."""
    return Parameter(name, Type.DATETIME, frozenset({Type.DYNAMIC}))


def timespan(name: str) -> Parameter:
    return Parameter(name, Type.TIMESPAN)
