"""Will calls work from here, and what is to be fixed? `examination.examine` runs the table of `checks`."""
