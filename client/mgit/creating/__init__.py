"""How models are created: functions that make them from their parents, run here, recorded, and run again.

Nothing is imported here: records are read with every model, and what runs functions takes long to import.
"""
