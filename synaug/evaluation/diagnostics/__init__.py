"""What explains a result: whether synthetic images show their class, how much of the real ones they cover, where AuxBN keeps them apart."""
