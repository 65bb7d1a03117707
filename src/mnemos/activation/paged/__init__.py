"""One engine of cache pages: a pool with prefix sharing, eviction, leases, swapping and virtual memory."""
