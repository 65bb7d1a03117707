"""What measures Mnemos itself and its peers: `python -m benchmarks.FAMILY.NAME`, in the folder of the repository."""
