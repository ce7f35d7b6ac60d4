"""A module of the library imports only from floors below it."""

import pytest

import imports

# Lowest first. Modules on one floor do not import each other.
FLOORS = (
    {"elements", "provenance"},
    {"formulas"},
    {"batch"},
    {"composition"},
    {"benchmarks"},
    {"layers"},
    {"models"},
    {"optim", "checkpoint", "intervals", "novelty", "inference"},
    {"predictor"},
    {"recipe", "graphs", "parallel", "transfer"},
    {"trainer"},
    {"training"},
    {"shipped"},
    {"environments"},
    {"capture"},
    {"cecv", "inside"},
    {"baselines"},
    {"runs", "tables"},
    {"experiments"},
    {"card", "results"},
    {"ensembles"},
    {"plotting_style"},
    {
        "diagrams",
        "plotting_cecv",
        "plotting_elements",
        "plotting_models",
        "plotting_wiring",
        "plotting_periodic",
    },
    {"plotting", "explorer"},
    {"widgets"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


@pytest.mark.parametrize("module", imports.modules())
def test_module_imports_only_from_below(module):
    assert module in FLOOR, f"give {module} its floor here"
    above = {
        name for name in imports.module_imports(module) if FLOOR[name] >= FLOOR[module]
    }
    assert not above, f"{module} imports {sorted(above)}, which stand no lower"


def test_the_library_knows_nothing_of_the_book():
    for path in imports.LIBRARY.glob("*.py"):
        code = path.read_text(encoding="utf-8")
        assert "import notebooks" not in code
        assert "book/" not in code, f"{path.name} names a file of the book"
