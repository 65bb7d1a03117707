"""An index on disk after SPANN: posting lists in memory-mapped files, their centroids in RAM."""
