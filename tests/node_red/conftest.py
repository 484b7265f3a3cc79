"""Says that the tests with Node-RED did not run."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that they did not run, rather than hide it."""
    deselected = terminalreporter.stats.get("deselected", [])
    count = sum("node_red" in item.keywords for item in deselected)
    if count:
        terminalreporter.write_line(
            f"{count} test with the real Node-RED was not run; "
            "docs/node-red.md tells how"
        )
