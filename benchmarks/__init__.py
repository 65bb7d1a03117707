"""Benchmarks of Mnemos itself and its peers: `python -m benchmarks NAME`, in the folder of the repository."""
