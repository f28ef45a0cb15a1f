"""Maps before the flight: fetched, imported, looked over, and their features prepared."""
