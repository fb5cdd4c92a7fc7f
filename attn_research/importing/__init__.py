"""Imports checkpoints of OpenNMT-py, Joey NMT and fairseq into run directories."""
