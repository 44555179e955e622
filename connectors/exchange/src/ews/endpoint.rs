//! The endpoint: what the engine asks, handed to the part that answers. It must not know any attribute's meaning.

use tenantry::{EndpointInfo, Error, Result};

use super::config::{Checked, EwsConfig};

/// One Exchange organisation, as the mailbox of one account sees its address book.
#[derive(Debug)]
pub struct Ews {
    info: EndpointInfo,
    config: Checked,
}

impl Ews {
    /// How the configuration spells this kind of endpoint.
    pub const KIND: &'static str = "exchange";

    /// Checks the settings and creates the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// `Config` with the `key` that is wrong and what to do about it.
    pub fn new(info: EndpointInfo, config: EwsConfig) -> Result<Self> {
        if info.kind != Self::KIND {
            return Err(Error::config("this endpoint is not of kind exchange").with_context("kind", info.kind));
        }
        let config = config.check().map_err(|error| error.with_context("endpoint", &info.name))?;
        Ok(Self { info, config })
    }
}
