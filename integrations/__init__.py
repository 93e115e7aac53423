"""What connects the layers and the searches to simulators, trainers and the command line."""
