//! The one way of a request to Graph and back: gate, token, origin, quota. It must not know what is asked.
