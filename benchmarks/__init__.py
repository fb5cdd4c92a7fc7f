"""Speed and memory benchmarks. They are not part of the package."""
