"""The tests of qbcall."""
