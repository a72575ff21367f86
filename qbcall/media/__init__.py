"""What is sent and heard: sources and sinks of audio and video, no rules of calls."""
