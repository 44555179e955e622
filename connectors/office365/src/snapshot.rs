//! A full listing: users, groups, members and devices side by side. It must not know what is stored.
