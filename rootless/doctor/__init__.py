"""Probes of this host, the ladders' verdicts, and remedies."""
