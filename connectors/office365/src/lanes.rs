//! What is read besides the directory, in lanes with quotas of their own. It must not know what is stored.
