//! Result codes of a server as errors: what kind, whether trying again helps, what to do about it.
//!
//! It decides by codes, never by the wording of a message. Two documented numbers inside Active Directory's diagnostic
//! text are codes too: the hexadecimal prefix, and `data XXX` of a refused bind. It knows nothing of connections.

use std::fmt;

use tenantry::{Error, ErrorKind, Retry};

/// Why a bind was refused, as Active Directory tells it in `data XXX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindRefusal {
    /// 525: there is no such account.
    NoSuchAccount,
    /// 52e: the password is wrong.
    WrongPassword,
    /// 530: not at this time of the day.
    LogonHours,
    /// 531: not from this computer.
    Workstation,
    /// 532: the password has expired.
    PasswordExpired,
    /// 533: the account is disabled.
    Disabled,
    /// 701: the account has expired.
    AccountExpired,
    /// 773: the password must be changed first.
    MustChangePassword,
    /// 775: the account is locked out.
    Locked,
    /// 80090346: the channel binding does not match; not a matter of the password.
    ChannelBinding,
    /// The server gave no sub-code, or an unknown one.
    Unspecified,
}

impl BindRefusal {
    fn parse(diagnostic: &str) -> Self {
        let code = diagnostic
            .match_indices("data ")
            .map(|(at, found)| &diagnostic[at + found.len()..])
            .find_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().filter(|code| !code.is_empty()))
            .unwrap_or_default();
        match code.to_ascii_lowercase().as_str() {
            "525" => Self::NoSuchAccount,
            "52e" => Self::WrongPassword,
            "530" => Self::LogonHours,
            "531" => Self::Workstation,
            "532" => Self::PasswordExpired,
            "533" => Self::Disabled,
            "701" => Self::AccountExpired,
            "773" => Self::MustChangePassword,
            "775" => Self::Locked,
            "80090346" => Self::ChannelBinding,
            _ => Self::Unspecified,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::NoSuchAccount => "the account to bind with does not exist",
            Self::WrongPassword => {
                "the password is wrong; it is not tried again, so that the account is not locked out"
            }
            Self::LogonHours => "the account may not log on at this time of the day",
            Self::Workstation => "the account may not log on from this computer",
            Self::PasswordExpired => "the password of the account has expired",
            Self::Disabled => "the account is disabled",
            Self::AccountExpired => "the account has expired",
            Self::MustChangePassword => "the account must change its password before it can log on",
            Self::Locked => "the account is locked out; wait some hours or have it unlocked",
            Self::ChannelBinding => {
                "the server demands a channel binding that does not match; look for a TLS proxy between, the password is \
                 not the problem"
            }
            Self::Unspecified => "the account or its password is wrong; it is not tried again",
        }
    }
}

/// What the server answered: the source of an [`Error`] that stems from a result code.
#[derive(Clone)]
pub struct Failure {
    code: u32,
    diagnostic: String,
    cookie_lost: bool,
}

impl Failure {
    /// Returns the result code of RFC 4511.
    pub fn code(&self) -> u32 {
        self.code
    }

    /// Returns the number in front of Active Directory's diagnostic text, a Windows error code.
    pub fn windows_code(&self) -> Option<u32> {
        windows_code(&self.diagnostic)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "result code {}", self.code)?;
        if !self.diagnostic.is_empty() {
            write!(f, ": {}", self.diagnostic)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Returns what the server answered, if the error stems from a result code.
pub fn failure(error: &Error) -> Option<&Failure> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Returns the result code, if the error stems from one.
pub fn code(error: &Error) -> Option<u32> {
    failure(error).map(Failure::code)
}

/// Tells whether the server no longer knows the cookie: the listing, or the delta, has to start again.
pub fn is_cookie_lost(error: &Error) -> bool {
    failure(error).is_some_and(|failure| failure.cookie_lost)
}

/// Returns why the bind was refused, if it was.
pub fn bind_refusal(error: &Error) -> Option<BindRefusal> {
    failure(error).filter(|failure| failure.code == 49).map(|failure| BindRefusal::parse(&failure.diagnostic))
}

/// Which cookie the request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentCookie {
    None,
    Paging,
    Delta,
}

/// Whether the session is bound to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Anonymous,
    Account,
}

/// Translates a result code that is not success.
pub(crate) fn translate(code: u32, diagnostic: &str, cookie: SentCookie, identity: Identity) -> Error {
    let diagnostic: String = diagnostic.chars().filter(|c| !c.is_control()).take(400).collect();
    let windows = windows_code(&diagnostic);
    let cookie_lost = match code {
        12 => cookie != SentCookie::None,
        // OpenLDAP refuses an unknown paging cookie with protocolError, Samba with unwillingToPerform. The first page of
        // the same request was answered, so it can only be the cookie.
        2 | 53 => cookie == SentCookie::Paging,
        _ => false,
    };
    let error = if cookie_lost {
        Error::new(ErrorKind::Conflict, "the server no longer knows the cookie; the listing starts again")
    } else {
        classify(code, windows, &diagnostic, identity)
    };
    let error = error.with_context("result code", code);
    let error = match windows {
        Some(windows) => error.with_context("windows code", format_args!("{windows:08x}")),
        None => error,
    };
    error.with_source(Failure { code, diagnostic, cookie_lost })
}

fn classify(code: u32, windows: Option<u32>, diagnostic: &str, identity: Identity) -> Error {
    let config = |text: &'static str| Error::config(text);
    let protocol = |text: &'static str| Error::protocol(text);
    let conflict = |text: &'static str| Error::new(ErrorKind::Conflict, text);
    let later = |text: &'static str| Error::new(ErrorKind::Unavailable, text).with_retry(Retry::Backoff);
    match (code, windows) {
        // ERROR_INVALID_CONNECT_FUNCTION-like codes of Active Directory: no successful bind on this connection.
        (1, Some(0x0000_04dc | 0x0000_2020)) => match identity {
            Identity::Account => later("the server has forgotten the bind; connect again"),
            Identity::Anonymous => {
                Error::new(ErrorKind::Unauthenticated, "the server answers only after a bind; set an account")
            }
        },
        (1, Some(0x0000_20d6)) => later("the directory service reports an internal error"),
        (1, _) => protocol("the server reports an operations error"),
        (2, _) => protocol("the server does not understand the request"),
        (3, _) => later("the server's time limit is exceeded; use smaller pages or a narrower filter"),
        (4, _) => protocol("the server's size limit is exceeded; the answer is incomplete"),
        (7, _) => config("the server does not allow a simple bind; allow it or use another account"),
        (8, _) => config("the server demands signing or TLS; use ldaps:// or StartTLS"),
        (10, _) => config(
            "the server refers to another server: the base lies in another domain, or the server is read-only; set the \
             base or the server accordingly",
        ),
        (11, _) => later("an administrative limit of the server is exceeded; use smaller pages or a narrower filter"),
        (12, _) => Error::new(ErrorKind::Unsupported, "the server does not support a control that the request needs"),
        (13, _) => config("the server demands encryption; use ldaps:// or StartTLS"),
        (16, _) => conflict("the attribute or value to change is not there any more"),
        (17 | 21, _) => config("the server does not know the attribute, or not this form of value"),
        (18, _) => config("the attribute does not support this comparison"),
        (19, _) => config("the value violates a rule of the directory"),
        (20 | 68, _) => conflict("the value or entry exists already"),
        (32, _) => Error::new(ErrorKind::NotFound, "there is no such object"),
        (33 | 36, _) => protocol("an alias cannot be resolved"),
        (34, _) => config("the distinguished name is not valid"),
        (48, _) => config("the server does not accept this way of binding for this account"),
        (49, _) => Error::new(ErrorKind::Unauthenticated, BindRefusal::parse(diagnostic).words()),
        (50, _) => Error::new(
            ErrorKind::PermissionDenied { missing: Vec::new() },
            "the account has no right to do this; delegate it to the account",
        ),
        (51, _) => later("the server is busy"),
        (52 | 81 | 85 | 91, _) => later("the server is not available"),
        (53, _) => config("the server refuses to do this; look at its policies"),
        (54, _) => protocol("the server found a loop"),
        (64 | 65 | 67 | 69 | 71, _) => config("the change violates the schema of the directory"),
        (66, _) => conflict("the entry has entries below it"),
        _ => protocol("the server reports an error"),
    }
}

fn windows_code(diagnostic: &str) -> Option<u32> {
    let (digits, rest) = diagnostic.split_at_checked(8)?;
    (rest.starts_with(':') && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(code: u32, diagnostic: &str) -> Error {
        translate(code, diagnostic, SentCookie::None, Identity::Account)
    }

    #[test]
    fn every_sub_code_of_a_refused_bind_has_its_own_words_and_is_never_retried() {
        let codes = ["525", "52e", "530", "531", "532", "533", "701", "773", "775", "80090346", "0"];
        let mut words = std::collections::BTreeSet::new();
        for code in codes {
            let error = plain(
                49,
                &format!("80090308: LdapErr: DSID-0C09030B, comment: AcceptSecurityContext error, data {code}, v893"),
            );
            assert_eq!(*error.kind(), ErrorKind::Unauthenticated);
            assert_eq!(error.retry(), Retry::Never);
            words.insert(error.message().to_owned());
        }
        assert_eq!(words.len(), codes.len());
    }

    #[test]
    fn signing_required_is_a_matter_of_configuration_with_a_remedy() {
        let error = plain(8, "00002028: LdapErr: DSID-0C090256, comment: The server requires binds, data 0, v3839");
        assert_eq!(*error.kind(), ErrorKind::Config);
        assert!(error.message().contains("ldaps://"));
        assert_eq!(failure(&error).and_then(Failure::windows_code), Some(0x2028));
    }

    #[test]
    fn a_lost_cookie_is_told_apart_from_an_unknown_control() {
        let text = "00000057: LdapErr: DSID-0C090797, comment: Error processing control, data 0";
        assert!(is_cookie_lost(&translate(12, text, SentCookie::Paging, Identity::Account)));
        assert!(is_cookie_lost(&translate(12, text, SentCookie::Delta, Identity::Account)));
        assert!(is_cookie_lost(&translate(53, "", SentCookie::Paging, Identity::Account)));
        assert!(is_cookie_lost(&translate(2, "", SentCookie::Paging, Identity::Account)));
        assert!(!is_cookie_lost(&translate(53, "", SentCookie::Delta, Identity::Account)));
        let unknown = plain(12, text);
        assert!(!is_cookie_lost(&unknown));
        assert_eq!(*unknown.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn busy_and_unavailable_are_tried_again_and_rights_are_not() {
        for code in [51, 52, 3, 11] {
            let error = plain(code, "");
            assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unavailable, Retry::Backoff), "{code}");
        }
        assert!(matches!(plain(50, "").kind(), ErrorKind::PermissionDenied { .. }));
        assert_eq!(*plain(32, "").kind(), ErrorKind::NotFound);
        assert_eq!(*plain(4, "").kind(), ErrorKind::Protocol);
    }

    #[test]
    fn an_anonymous_session_is_told_to_set_an_account() {
        let text = "00002020: Operation unavailable without authentication";
        let anonymous = translate(1, text, SentCookie::None, Identity::Anonymous);
        assert_eq!(*anonymous.kind(), ErrorKind::Unauthenticated);
        assert_eq!(plain(1, text).retry(), Retry::Backoff);
    }

    proptest! {
        #[test]
        fn any_diagnostic_text_is_survived(code in 0_u32..130, text: String) {
            let error = translate(code, &text, SentCookie::Paging, Identity::Account);
            prop_assert_eq!(super::code(&error), Some(code));
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
