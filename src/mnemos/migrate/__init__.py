"""Migration of memories from one form into another, and the schedules that decide what to keep."""
