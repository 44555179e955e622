//! What imports join by themselves, and what they do not.
