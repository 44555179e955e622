//! What the connector does over the wire, one module for each subject.
