//! How the application proves who it is: secret or signed assertion. It must not know what the token is for.
