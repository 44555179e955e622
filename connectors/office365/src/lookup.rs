//! Single objects by id, and single memberships. It must not know what was listed.
