"""The tests of leases run in the settings of the ledger's: see there."""
import importlib.util
import pathlib

spec = importlib.util.spec_from_file_location(
    "ledger_conftest",
    pathlib.Path(__file__).resolve().parents[1] / "ledger" / "conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
db = shared.db
LIBRARY = shared.LIBRARY
load_apsw = shared.load_apsw
