"""Parametric memory: what is told becomes weights beside a frozen model. Needs the extra mnemos[torch]."""
