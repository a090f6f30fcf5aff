"""Regular expressions: what KQL means by a pattern, written so that RE2 means the same.

KQL has the syntax of Rust's regex crate, the engine has RE2's. Where the two read a pattern alike it stays; where RE2 can say the same in
other words it is rewritten (named groups; `\\d`, `\\w` and `\\s`, which are Unicode classes in KQL and ASCII in RE2); all else is refused.
A word boundary `\\b` stays as it is: RE2 sees one beside a letter that is not ASCII.

Source: Kusto Query Language reference, "RE2 library" and "Regular expressions"; RE2's syntax page.
"""

import re
from functools import lru_cache

MOST_GROUPS = 16
_MOST_REPEATS = 1000

_WORD = r"\p{L}\p{M}\p{Nd}\p{Pc}"
_SPACE = r"\s\x{0B}\x{85}\p{Z}"
_CLASSES = {"d": r"\p{Nd}", "w": _WORD, "s": _SPACE}
_CONNECTORS_BUT_UNDERSCORE = r"\x{203F}\x{2040}\x{2054}\x{FE33}\x{FE34}\x{FE4D}-\x{FE4F}\x{FF3F}"
_PLAIN_ESCAPES = frozenset("aftnrvAzbB")
_PROPERTY = re.compile(
    r"\\[pP](?:[CLMNPSZ]|\{\^?(?:[CLMNPSZ][a-z]?|Latin|Greek|Cyrillic|Arabic|Hebrew|Han|Hiragana|Katakana|Hangul|Thai)\})"
)
_CODE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|[xuU]\{([0-9a-fA-F]{1,6})\})")
_REPEAT = re.compile(r"[*+?]\??|\{(\d+)(?:(,)(\d*))?\}\??")
_GROUP = re.compile(r"\((?:\?(?:P?<(?P<name>[A-Za-z_]\w*)>|(?P<flags>[a-zA-Z]*(?:-[a-zA-Z]+)?)(?P<end>[:)])))?", re.ASCII)
_POSIX = re.compile(r"\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]")


class _Unreadable(Exception):
    """Why a pattern is refused."""


def escaped(text: str) -> str:
    """The text as a pattern that matches it alone."""
    return re.sub(r"[!-/:-@\[-^`{-~]", lambda found: "\\" + found[0], text)


def check_regex(pattern: str) -> str | None:
    """Why `pattern` cannot be run, or None where it can."""
    try:
        rewritten(pattern)
    except _Unreadable as refusal:
        return str(refusal)
    return None


def rewritten(pattern: str) -> str:
    """The pattern for RE2. `check_regex` has accepted it."""
    return _read(pattern)[0]


def without_groups(pattern: str) -> str:
    """`rewritten` as one part of a pattern: it captures nothing, so that the groups around it keep their numbers."""
    return f"(?:{_Reader(pattern, captures=False).read()})"


def group_count(pattern: str) -> int:
    """How many groups `pattern` captures."""
    return _read(pattern)[1]


def group_names(pattern: str) -> dict[str, int]:
    """The number of each named group."""
    return _read(pattern)[2]


@lru_cache(maxsize=512)
def _read(pattern: str) -> tuple[str, int, dict[str, int]]:
    reader = _Reader(pattern)
    return reader.read(), reader.groups, reader.names


def _check_ranges(items: list[str]) -> None:
    """Refuses a `-` in a class that is neither at an end nor between two characters in order: the engines read it in several ways."""
    end_of_range = -1
    for place, item in enumerate(items):
        if item != "-" or place in (0, len(items) - 1):
            continue
        low, high = _code_point(items[place - 1]), _code_point(items[place + 1])
        if place - 1 == end_of_range or low is None or high is None:
            raise _Unreadable("a `-` inside a class that makes no range; write `\\-`")
        if low > high:
            raise _Unreadable(f"the range `{items[place - 1]}-{items[place + 1]}` runs backwards")
        end_of_range = place + 1


def _code_point(item: str) -> int | None:
    """The character that an item of a class stands for, None where it stands for several or is an escape by letter."""
    if len(item) == 1:
        return ord(item)
    if item.startswith("\\x{"):
        return int(item[3:-1], 16)
    return ord(item[1]) if len(item) == 2 and not item[1].isalnum() else None


class _Reader:
    def __init__(self, pattern: str, *, captures: bool = True):
        self.pattern = pattern
        self.captures = captures
        self.at = 0
        self.groups = 0
        self.names: dict[str, int] = {}
        self.out: list[str] = []

    def read(self) -> str:
        depth = 0
        repeatable = False
        while self.at < len(self.pattern):
            character = self.pattern[self.at]
            repeat = _REPEAT.match(self.pattern, self.at)
            if repeat is not None:
                self._repeat(repeat, repeatable)
                repeatable = False
                continue
            repeatable = True
            match character:
                case "{":
                    self._literal_brace()
                case "(":
                    opens, repeatable = self._group()
                    depth += opens
                case ")":
                    if depth == 0:
                        raise _Unreadable("`)` without its `(`")
                    depth -= 1
                    self._copy(1)
                case "|":
                    repeatable = False
                    self._copy(1)
                case "[":
                    self._class()
                case "\\":
                    self.out.append(self._escape(in_class=False))
                case _:
                    self._copy(1)
        if depth:
            raise _Unreadable("`(` without its `)`")
        return "".join(self.out)

    def _copy(self, count: int) -> None:
        self.out.append(self.pattern[self.at : self.at + count])
        self.at += count

    def _repeat(self, repeat: re.Match[str], repeatable: bool) -> None:
        if not repeatable:
            raise _Unreadable(f"nothing to repeat before `{repeat[0]}`")
        low, _, high = repeat.groups()
        counts = [int(count) for count in (low, high) if count]
        if any(count > _MOST_REPEATS for count in counts) or counts != sorted(counts):
            raise _Unreadable(f"the repetition `{repeat[0]}`; it may count to {_MOST_REPEATS}, upwards")
        self._copy(len(repeat[0]))

    def _literal_brace(self) -> None:
        """A `{` that begins no repetition: published queries have it before JSON, `"{\\"key\\":(.*)"`, and mean the character."""
        if self.pattern.startswith("{,", self.at):
            raise _Unreadable("`{,` counts from 0 in some engines and is text in others; write `{0,` or `\\{,`")
        self.out.append("\\{")
        self.at += 1

    def _group(self) -> tuple[int, bool]:
        """How many groups are open now, and whether a repetition may follow at once."""
        group = _GROUP.match(self.pattern, self.at)
        assert group is not None
        if self.pattern.startswith(("(?=", "(?!", "(?<=", "(?<!"), self.at):
            raise _Unreadable("look-around is not supported")
        name, flags, end = group.group("name", "flags", "end")
        if self.pattern.startswith("(?", self.at) and name is None and end is None:
            raise _Unreadable("a group that begins like no group")
        self.at = group.end()
        if flags is not None:
            if set(flags) - set("imsU-"):
                raise _Unreadable(f"the flags `{flags}`; supported are i, m, s and U")
            self.out.append(group[0] if flags or end == ":" else "")
            return (1 if end == ":" else 0), False
        self.groups += 1
        if self.groups > MOST_GROUPS:
            raise _Unreadable(f"more than {MOST_GROUPS} groups")
        if name is not None:
            if name in self.names:
                raise _Unreadable(f"two groups named `{name}`")
            self.names[name] = self.groups
        named = f"(?P<{name}>" if name is not None else "("
        self.out.append(named if self.captures else "(?:")
        return 1, False

    def _class(self) -> None:
        """A bracketed class; `\\W` and `\\D` in it become alternatives, since RE2 has their ASCII sense alone."""
        start = self.at
        self.at += 1
        negated = self.pattern.startswith("^", self.at)
        self.at += negated
        items: list[str] = []
        outside: list[str] = []
        first = True
        while first or not self.pattern.startswith("]", self.at):
            if self.at >= len(self.pattern):
                raise _Unreadable("`[` without its `]`")
            posix = _POSIX.match(self.pattern, self.at)
            if posix is not None:
                items.append(posix[0])
                self.at = posix.end()
            elif self.pattern.startswith(("&&", "--", "~~"), self.at):
                raise _Unreadable("operations on character classes are not supported")
            elif self.pattern[self.at] == "[":
                raise _Unreadable("a class inside a class; write `\\[`")
            elif self.pattern[self.at] == "\\":
                escape = self._escape(in_class=True)
                (outside if escape.startswith("[^") else items).append(escape)
            else:
                items.append(self.pattern[self.at])
                self.at += 1
            first = False
        self.at += 1
        _check_ranges(items)
        if not outside:
            self.out.append(("[^" if negated else "[") + "".join(items) + "]")
        elif not negated:
            alternatives = [*outside, *(["[" + "".join(items) + "]"] if items else [])]
            self.out.append("(?:" + "|".join(alternatives) + ")")
        elif self.pattern[start : self.at] in ("[^\\W_]", "[^_\\W]"):
            self.out.append(rf"[\p{{L}}\p{{M}}\p{{Nd}}{_CONNECTORS_BUT_UNDERSCORE}]")
        elif len(outside) == 1 and not items:
            self.out.append("[" + outside[0].removeprefix("[^"))
        else:
            raise _Unreadable("a negated class around `\\W`, `\\D` or `\\S`")

    def _escape(self, *, in_class: bool) -> str:
        """The escape at this place for RE2; a negated class comes as `[^..]` everywhere."""
        property_ = _PROPERTY.match(self.pattern, self.at)
        code = _CODE.match(self.pattern, self.at)
        if property_ is not None:
            self.at = property_.end()
            return property_[0]
        if code is not None:
            self.at = code.end()
            return f"\\x{{{next(digits for digits in code.groups() if digits)}}}"
        letter = self.pattern[self.at + 1 : self.at + 2]
        if not letter:
            raise _Unreadable("a backslash at the end")
        following = self.pattern[self.at + 2 : self.at + 3]
        self.at += 2
        if letter.lower() in _CLASSES:
            body = _CLASSES[letter.lower()]
            if letter.isupper():
                return f"[^{body}]"
            return body if in_class or letter == "d" else f"[{body}]"
        if letter.isdigit():
            raise _Unreadable("references to groups are not supported")
        if letter in "<>" or (letter in "bB" and (following == "{" or in_class)) or (letter.isalpha() and letter not in _PLAIN_ESCAPES):
            raise _Unreadable(f"the escape `\\{letter}{following if following == '{' else ''}` is not supported")
        return "\\" + letter
