"""What each class name means, and the prompt of each image: senses, attributes, styles, composition."""
