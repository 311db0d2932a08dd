"""Jobs: what is done with each of many photographs, whoever goes through them."""
