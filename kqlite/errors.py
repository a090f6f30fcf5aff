"""The base of every error that kqlite raises on purpose."""


class KqliteError(Exception):
    """Something a user can cause and can mend; the message names the thing and the way out."""


class InventoryError(KqliteError):
    """Input that cannot become part of an inventory, or an inventory that cannot be opened."""
