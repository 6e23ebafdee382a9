"""What the design promises about the tree itself: sizes, layers, purity, plug-ins, documents."""
