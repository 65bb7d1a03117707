"""What models need while they train and run, measured with and without the methods of `mnemos.footprint`."""
