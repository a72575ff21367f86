"""qbcall and the unmodified QuickBlox JavaScript SDK in Chromium call each other over a real Prosody."""
