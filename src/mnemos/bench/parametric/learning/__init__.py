"""The parts of `mnemos bench continual`, and the streams, models and lives that they share."""
