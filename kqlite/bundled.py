"""Files that ship with the package: the grammar and the sample data, in the wheel beside the modules, in a checkout at its top."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def bundled(name: str) -> Path:
    """The path of a bundled file or folder such as `grammar/kql.lark` or `sample-data`."""
    installed = _PACKAGE / name
    return installed if installed.exists() else _PACKAGE.parent / name
