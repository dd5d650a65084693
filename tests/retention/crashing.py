"""Applies in small batches, and says when it is ready: killed by a test."""
import os
import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.enable_load_extension(True)
connection.load_extension(os.environ["HOLDFAST"])
print("ready", flush=True)
connection.execute("SELECT retention_apply(?, '{\"batch_rows\":20}')",
                   (int(sys.argv[2]),)).fetchone()
