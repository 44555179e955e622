//! Who an endpoint is.

use crate::model::EndpointName;

/// Name, title and kind of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointInfo {
    /// The immutable key.
    pub name: EndpointName,
    /// Shown to people; names the endpoint's own group.
    pub title: String,
    /// What it connects to, as the configuration spells it.
    pub kind: &'static str,
}

impl EndpointInfo {
    /// Creates an info whose title is the name.
    pub fn new(name: EndpointName, kind: &'static str) -> Self {
        Self { title: name.as_str().to_owned(), name, kind }
    }

    /// Sets the title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }
}
