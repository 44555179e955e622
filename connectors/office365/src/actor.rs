//! What an operator asks of an account: by patches and actions of Graph. It must not know what is stored.
