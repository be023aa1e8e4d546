"""Faults as a tool: a plan (`plan.py`) says what goes wrong, and when (`schedule.py`).

Payload faults strike an observation before it gets its identity (`payload.py`, `inject.py`), transport faults between
device and gateway (`transport.py`). What struck which reading is written to the devices' log, in the transaction that
writes the reading.
"""
