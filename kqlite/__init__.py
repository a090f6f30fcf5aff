"""kqlite: Azure Resource Graph in a box."""
