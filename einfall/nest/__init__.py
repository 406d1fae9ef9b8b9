"""Language 2: in which order and in which storage, loops over ranks with the values they carry."""
