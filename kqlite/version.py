"""Which version of kqlite this is."""


def own_version() -> str:
    """As the installed package says it; `development` in a checkout that was not installed."""
    # Loads half of the standard library's email package, so only where a version is asked for.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("kqlite")
    except PackageNotFoundError:
        return "development"
