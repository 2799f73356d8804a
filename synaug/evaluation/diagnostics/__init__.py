"""What explains a result.

Whether synthetic images show their class, how much of the real ones they cover, and where AuxBN keeps them apart.
"""
