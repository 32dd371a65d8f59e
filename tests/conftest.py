"""Set-up shared by all tests."""

import os

# Without it scikit-learn leaves out its array-API check. Has to be set before SciPy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores


def pytest_addoption(parser):
    parser.addoption(
        "--benchmark-quality",
        action="store_true",
        help="run tests/test_quality.py and nothing else: AUROC on small tasks, as a table",
    )


def pytest_ignore_collect(collection_path, config):
    """The benchmark takes long, and is run alone."""
    is_benchmark = collection_path.name == "test_quality.py"
    is_unwanted = is_benchmark != config.getoption("benchmark_quality")
    return True if collection_path.is_file() and is_unwanted else None


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("benchmark_quality"):
        return
    terminalreporter.section("AUROC (and what it was)")
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for report in reports:
        for task, detector, values, reference in dict(report.user_properties).values():
            cells = [f"{name} {values[name]:.3f} ({reference[name]:.3f})" for name in reference]
            terminalreporter.line(f"{task:<16}{detector:<22}{report.outcome:<8}{'   '.join(cells)}")
