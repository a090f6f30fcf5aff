"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("golden cases")
    group.addoption("--accept", action="store_true", help="renew the sections of .expected files, and fill missing ones")
    group.addoption("--sections", default="", help="with --accept: add these sections too, such as `plan,duckdb`")
