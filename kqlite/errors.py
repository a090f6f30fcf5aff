"""The errors of kqlite: one tree, whose root catches them all. `kqlite` names those that a caller may want to tell apart."""


class KqliteError(Exception):
    """Something a user can cause and can mend; the message names the thing and the way out."""


class InventoryError(KqliteError):
    """Input that cannot become part of an inventory, or an inventory that cannot be opened."""


class ClosedError(InventoryError):
    """A connection or a simulation that was closed, or is being closed by another thread."""


class QueryCancelledError(KqliteError):
    """A query that was ended before it had its answer, because somebody said so."""


class InternalError(KqliteError):
    """A query that is right and that kqlite failed to run: a fault of kqlite, and not of who asked.

    kql: the query. sql: what was made of it. Both are "" where they are not known.
    """

    def __init__(self, reason: str, kql: str = "", sql: str = "") -> None:
        self.reason = reason
        self.kql = kql
        self.sql = sql
        about = f"\n\nKQL:\n{kql}\n\nSQL:\n{sql}" if kql or sql else ""
        super().__init__(f"a fault of kqlite, which did not manage to run a query; please report it with all of this text: {reason}{about}")

    def __reduce__(self) -> tuple[type["InternalError"], tuple[str, str, str]]:
        return InternalError, (self.reason, self.kql, self.sql)


class InventoryWarning(UserWarning):
    """Files were read, and hold less, or other things, than their reader may think: a part of an answer, members that no query sees."""
