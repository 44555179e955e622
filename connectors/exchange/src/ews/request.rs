//! The messages that are sent. It must not know what comes back.

use quick_xml::escape::escape;

/// In the words of which release something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// 2010 SP2 and later: with everything that is known of a recipient.
    Full,
    /// Since 2007 SP1.
    Old,
    /// 2007 without a service pack.
    Oldest,
    /// The same where it does not know scopes: the account's own contacts come too, and are told by their marks.
    Bare,
}

impl Words {
    fn version(self) -> &'static str {
        match self {
            Self::Full => "Exchange2010_SP2",
            Self::Old => "Exchange2007_SP1",
            Self::Oldest | Self::Bare => "Exchange2007",
        }
    }

    /// Returns those of the release before.
    pub(crate) fn older(self) -> Option<Self> {
        match self {
            Self::Full => Some(Self::Old),
            Self::Old => Some(Self::Oldest),
            Self::Oldest => Some(Self::Bare),
            Self::Bare => None,
        }
    }
}

/// Asks for everybody whose name, alias or address begins with something.
pub(crate) fn resolve(words: Words, entry: &str) -> String {
    let shape = match words {
        Words::Full => r#" ContactDataShape="AllProperties""#,
        Words::Old | Words::Oldest | Words::Bare => "",
    };
    let scope = match words {
        Words::Bare => "",
        _ => r#" SearchScope="ActiveDirectory""#,
    };
    envelope(
        words,
        &format!(
            r#"<m:ResolveNames ReturnFullContactData="true"{scope}{shape}><m:UnresolvedEntry>{}</m:UnresolvedEntry></m:ResolveNames>"#,
            escape(entry)
        ),
    )
}

/// Asks for the direct members of a group.
pub(crate) fn expand(words: Words, address: &str) -> String {
    envelope(
        words,
        &format!(
            "<m:ExpandDL><m:Mailbox><t:EmailAddress>{}</t:EmailAddress></m:Mailbox></m:ExpandDL>",
            escape(address)
        ),
    )
}

fn envelope(words: Words, body: &str) -> String {
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" "#,
            r#"xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" "#,
            r#"xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">"#,
            r#"<s:Header><t:RequestServerVersion Version="{}"/></s:Header><s:Body>{}</s:Body></s:Envelope>"#,
        ),
        words.version(),
        body
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_cannot_become_part_of_the_message() {
        let message = resolve(Words::Full, "a<b>&\"'");
        assert!(message.contains("<m:UnresolvedEntry>a&lt;b&gt;&amp;"), "{message}");
        assert!(expand(Words::Full, "</t:EmailAddress>").contains("&lt;/t:EmailAddress&gt;"));
    }

    #[test]
    fn only_the_directory_is_searched_and_older_releases_are_not_asked_for_a_shape() {
        for (words, version, shape) in
            [(Words::Full, "Exchange2010_SP2", true), (Words::Old, "Exchange2007_SP1", false)]
        {
            let message = resolve(words, "an");
            assert!(message.contains(r#"SearchScope="ActiveDirectory""#));
            assert!(message.contains(r#"ReturnFullContactData="true""#));
            assert!(message.contains(version), "{message}");
            assert_eq!(message.contains("ContactDataShape"), shape);
        }
    }
}
