//! What a person who sets the endpoint up has to know: rights, what will not be seen, how much work. It changes nothing.
